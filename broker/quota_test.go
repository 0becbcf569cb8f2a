package broker

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/session"
)

// One hospital's agent can fill its share of the vault's disk, and neither the others' nor
// the last of it.
func TestASiteFillsItsShareOfTheDiskAndNoMore(t *testing.T) {
	url := "redis://" + miniredis.RunT(t).Addr()
	t.Cleanup(func() { storetest.Described(t, url) })
	st, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
	must(t, err)
	defer st.Close()
	const part = 1 << 20
	free, all := int64(100*part), int64(100*part)
	q := &quota{st, "", func(string) (int64, int64, bool) { return free, all, true }}
	fill := func(site string) (n int, err error) {
		for ; err == nil; n++ {
			if err = q.admits(t.Context(), site, part); err == nil {
				must(t, q.count(t.Context(), site, part))
				free -= part
			}
		}
		return n - 1, err
	}
	n, err := fill("NGH")
	if n != 100/siteShare || session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "NGH has stored 50 MiB") {
		t.Errorf("%d parts, then %v", n, err)
	}
	if n, err = fill("XYZ"); n != 45 || session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "full") {
		t.Errorf("%d parts of another, then %v", n, err)
	}
	t.Log("ATTACK | one hospital's agent uploads until the shared disk is full | half of the disk for one site, and a twentieth for none | 50 and 45 of 100 MiB | holds")
}
