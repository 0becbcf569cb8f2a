package broker

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/recordings/vault"
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
	q := &quota{store: st, shares: map[string]int{"ABC": 3}, open: map[string]int64{}, disk: func() (int64, int64, bool) { return free, all, true },
		stored: func(context.Context, string) (int64, error) { return 0, nil }}
	fill := func(site string) (n int, err error) {
		var done func()
		for ; err == nil; n++ {
			if done, err = q.admits(t.Context(), site, part); err == nil {
				must(t, q.count(t.Context(), site, part))
				free -= part
				done()
			}
		}
		return n - 1, err
	}
	if n, err := fill("ABC"); n != 3 || session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "its share of the disk is 3 MiB") {
		t.Errorf("%d parts of a site with a share of its own, then %v", n, err)
	}
	free += 3 * part
	n, err := fill("NGH")
	if n != siteShare || session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "NGH has stored 50 MiB") {
		t.Errorf("%d parts, then %v", n, err)
	}
	if n, err = fill("XYZ"); n != 45 || session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "full") {
		t.Errorf("%d parts of another, then %v", n, err)
	}
	t.Log("ATTACK | one hospital's agent uploads until the shared disk is full | half of the disk for one site, and a twentieth for none | 50 and 45 of 100 MiB | holds")
}

// What is arriving counts, and no more once it has arrived or failed; a store that forgot what
// a site has is told by the vault.
func TestTheQuotaCountsWhatArrivesAndWhatIsThere(t *testing.T) {
	server := miniredis.RunT(t)
	st, err := store.Open(t.Context(), store.Config{URL: "redis://" + server.Addr(), Ephemeral: true})
	must(t, err)
	defer st.Close()
	v, err := vault.OpenDirectory(t.TempDir())
	must(t, err)
	defer v.Close()
	const mib = 1 << 20
	q := &quota{store: st, open: map[string]int64{}, stored: v.Used, disk: func() (int64, int64, bool) { return 100 * mib, 100 * mib, true }}
	put := func(part string, size int) {
		t.Helper()
		done, err := q.admits(t.Context(), "NGH", int64(size))
		must(t, err)
		defer done()
		must(t, v.Put(t.Context(), vault.Part{Site: "NGH", Recording: session.NewID().Recording(), Name: part, Size: int64(size)}, bytes.NewReader(make([]byte, size))))
		must(t, q.count(t.Context(), "NGH", int64(size)))
	}
	full := func(site string, size int64) bool {
		t.Helper()
		done, err := q.admits(t.Context(), site, size)
		if err == nil {
			done()
		} else if session.KindOf(err) != session.Refused {
			t.Fatal(err)
		}
		return err != nil
	}
	put("header", 1000)
	put("header", 2000)
	server.FlushAll()
	put("seal", 500) // counted with what is there
	if n, err := q.kept(t.Context(), "NGH"); err != nil || n != 3500 {
		t.Errorf("%d bytes are noted, %v", n, err)
	}
	server.FlushAll()
	must(t, q.count(t.Context(), "NGH", 500)) // forgotten while one arrived
	if n, err := q.kept(t.Context(), "NGH"); err != nil || n != 3500 {
		t.Errorf("%d bytes are noted after another loss, %v", n, err)
	}
	first, err := q.admits(t.Context(), "NGH", 40*mib)
	must(t, err)
	if !full("NGH", 10*mib) || full("XYZ", 45*mib) || !full("XYZ", 56*mib) {
		t.Error("what is arriving does not count, or another's share is not its own")
	}
	first()
	if full("NGH", 49*mib) {
		t.Error("what has failed still counts")
	}
	t.Log("ATTACK | many uploads at once, and a store that was lost | what arrives counts, and the vault is counted anew | 40 + 10 MiB refused of 50; 3500 bytes found again | holds")
}
