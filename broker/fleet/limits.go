package fleet

import (
	"time"

	"github.com/sallyport/sallyport/session/link"
)

const (
	maxPEM           = 16 << 10                  // bytes of a key or certificate file; they have about 1 KiB
	caTime           = 10 * 365 * 24 * time.Hour // life of the link's CA: replacing it means enrolling every agent again
	nodeTime         = 30 * 24 * time.Hour       // life of a node's certificate, made anew at half of it
	maxStreamsOf     = 48                        // of one person to one agent at a time
	maxStreamsVendor = link.MaxStreams / 2       // and of one vendor's

	sweepEvery = 3 * time.Second // until a node notices what another node revoked
)
