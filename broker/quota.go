package broker

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// usedKind is how many bytes of recordings a site has stored, by site: as many documents as
// there are sites.
const usedKind = "vault-used"

// quota gives each site a share of the vault's disk, and nobody the last of it.
type quota struct {
	store *store.Store
	dir   string
	disk  func(dir string) (free, all int64, known bool)
}

// used is what is kept of a site.
type used struct {
	Bytes int64 `json:"bytes"`
}

// admits refuses a part for which there is no room. The agent keeps what is refused, and
// says so.
func (q *quota) admits(ctx context.Context, site string, size int64) error {
	if q == nil {
		return nil
	}
	free, all, known := q.disk(q.dir)
	if !known {
		return nil
	}
	const next = "The hospital's agent keeps its recordings until there is room: ask the broker's operators for some."
	if free-size < min(all/20, keptFree) {
		return (&session.Error{Kind: session.Refused, Message: "The broker's disk for recordings is full."}).WithNext(next)
	}
	var u used
	d, err := q.store.Get(ctx, usedKind, site)
	if err == nil {
		err = json.Unmarshal(d.Body, &u)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if share := all / siteShare; u.Bytes+size > share {
		return session.Errorf(session.Refused, "%s has stored %d MiB of recordings at the broker; its share of the disk is %d MiB.",
			site, u.Bytes>>20, share>>20).WithNext(next)
	}
	return nil
}

// count notes what a site has stored.
func (q *quota) count(ctx context.Context, site string, size int64) error {
	if q == nil {
		return nil
	}
	return q.store.Put(ctx, usedKind, site, func(old []byte) ([]byte, []store.Under, error) {
		var u used
		if old != nil {
			if err := json.Unmarshal(old, &u); err != nil {
				return nil, nil, err
			}
		}
		u.Bytes += size
		body, err := json.Marshal(u)
		return body, nil, err
	})
}
