package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// usedKind is how many bytes of recordings a site has stored, by site: as many documents as
// there are sites.
const usedKind = "vault-used"

// everyOther stands for the sites whose share is not configured.
const everyOther = "*"

// quota gives each site a share of the vault's disk, and nobody the last of it.
type quota struct {
	store  *store.Store
	shares map[string]int // percent of the disk, by site
	disk   func() (free, all int64, known bool)
	stored func(ctx context.Context, site string) (int64, error) // as the vault has it

	counting sync.Mutex // while the vault is counted

	mu   sync.Mutex
	open map[string]int64 // bytes that are arriving at this node, by site
}

// used is what is kept of a site.
type used struct {
	Bytes int64 `json:"bytes"`
}

// admits refuses a part for which there is no room, beside all that is arriving. The agent
// keeps what is refused, and says so. done is to be called when the part has arrived and is
// counted, or has failed.
func (q *quota) admits(ctx context.Context, site string, size int64) (done func(), err error) {
	if q == nil {
		return func() {}, nil
	}
	free, all, known := q.disk()
	if !known {
		return func() {}, nil
	}
	u, err := q.used(ctx, site)
	if err != nil {
		return nil, err
	}
	const next = "The hospital's agent keeps its recordings until there is room: ask the broker's operators for some."
	q.mu.Lock()
	defer q.mu.Unlock()
	arriving := size
	for _, n := range q.open {
		arriving += n
	}
	if free-arriving < min(all/20, keptFree) {
		return nil, (&session.Error{Kind: session.Refused, Message: "The broker's disk for recordings is full."}).WithNext(next)
	}
	if share := all / 100 * int64(q.percent(site)); u+q.open[site]+size > share {
		return nil, session.Errorf(session.Refused, "%s has stored %d MiB of recordings at the broker; its share of the disk is %d MiB.",
			site, u>>20, share>>20).WithNext(next)
	}
	q.open[site] += size
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.open[site] -= size; q.open[site] == 0 {
			delete(q.open, site)
		}
	}, nil
}

// percent is a site's share.
func (q *quota) percent(site string) int {
	return cmp.Or(q.shares[site], q.shares[everyOther], siteShare)
}

// used is what a site has stored. A store that has forgotten is told by the vault; what
// arrives while it is counted may count twice.
func (q *quota) used(ctx context.Context, site string) (int64, error) {
	n, err := q.kept(ctx, site)
	if !errors.Is(err, os.ErrNotExist) {
		return n, err
	}
	q.counting.Lock()
	defer q.counting.Unlock()
	if n, err = q.kept(ctx, site); !errors.Is(err, os.ErrNotExist) {
		return n, err
	}
	if n, err = q.stored(ctx, site); err != nil {
		return 0, err
	}
	body, err := json.Marshal(used{n})
	if err != nil {
		return 0, err
	}
	if err = q.store.Create(ctx, usedKind, site, body, 0); errors.Is(err, store.ErrExists) {
		return q.kept(ctx, site)
	}
	return n, err
}

// kept is what is noted of a site.
func (q *quota) kept(ctx context.Context, site string) (int64, error) {
	d, err := q.store.Get(ctx, usedKind, site)
	if err != nil {
		return 0, err
	}
	var u used
	err = json.Unmarshal(d.Body, &u)
	return u.Bytes, err
}

// count notes what a site has stored, or has the vault counted where nothing is noted.
func (q *quota) count(ctx context.Context, site string, size int64) error {
	if q == nil {
		return nil
	}
	err := q.store.Update(ctx, usedKind, site, func(old []byte) ([]byte, error) {
		var u used
		if err := json.Unmarshal(old, &u); err != nil {
			return nil, err
		}
		u.Bytes += size
		return json.Marshal(u)
	})
	if errors.Is(err, os.ErrNotExist) {
		_, err = q.used(ctx, site)
	}
	return err
}
