package broker

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/sallyport/sallyport/broker/api"
)

// checks are what /readyz looks at.
func (b *Broker) checks() []api.Check {
	return []api.Check{
		{Name: "store", Works: b.store.Ping},
		{Name: "audit log", Works: b.audit.Works},
		{Name: "disk of the audit log", Works: roomAt(auditDir(b.cfg), lowDisk)},
		{Name: "disk of recordings", Works: roomAt(b.cfg.Vault, lowDisk)},
		{Name: "descriptors", Works: enoughDescriptors},
	}
}

// roomAt says whether the disk of a directory has so many bytes free.
func roomAt(dir string, least int64) func(context.Context) error {
	return func(context.Context) error {
		free, _, known := disk(dir)
		if known && free < least {
			return fmt.Errorf("%d MiB are free at %s, %d are too few", free>>20, dir, least>>20)
		}
		return nil
	}
}

// enoughDescriptors opens one more file and looks how many there are by then: the system
// gives the lowest number that is free.
func enoughDescriptors(context.Context) error {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer f.Close()
	if number, most := uint64(f.Fd()), maxDescriptors(); most > 0 && number >= most-sparedOf(most) {
		return fmt.Errorf("%d of %d file descriptors are in use", number, most)
	}
	return nil
}

// full reports whether a connection is one of the last for which there are descriptors.
func full() func(net.Conn) bool {
	most := maxDescriptors()
	return func(c net.Conn) bool { return most > 0 && number(c) >= most-sparedOf(most) }
}

// sparedOf is how many descriptors strangers do not get: they are for agents, for people who
// have signed in, and for files.
func sparedOf(most uint64) uint64 { return most / 4 }
