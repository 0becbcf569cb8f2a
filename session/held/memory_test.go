package held

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
)

// Whatever opens, changes its size and closes in whatever order: nobody holds more than a
// share and all no more than there is, less is always given, what is refused changes nothing,
// and in the end all was given back.
func TestMemoryIsNeverOver(t *testing.T) {
	var ids [6]session.ID
	for i := range ids {
		ids[i] = session.NewID()
	}
	rapid.Check(t, func(t *rapid.T) {
		const most = 240
		m := NewMemory(most)
		type thing struct {
			of   Owner
			size int
		}
		var all []thing
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			n := rapid.IntRange(0, len(all)).Draw(t, "thing")
			if n == len(all) {
				i := rapid.IntRange(0, len(ids)-1).Draw(t, "session") // two of a person, four of a vendor
				all = append(all, thing{of: Owner{ids[i], session.Identity{Iss: fmt.Sprint("v", i/4), Sub: fmt.Sprint("p", i/2)}}})
			}
			x, size := &all[n], rapid.IntRange(0, 100).Draw(t, "size")
			before := m.all
			err := m.Change(x.of, x.size, size)
			switch {
			case err == nil:
				x.size = size
			case size <= x.size || session.KindOf(err) != session.Refused || m.all != before:
				t.Fatalf("from %d to %d: %v, %d held after %d", x.size, size, err, m.all, before)
			}
			sum, sessions, people := 0, map[session.ID]int{}, map[session.Identity]int{}
			for _, x := range all {
				sum += x.size
				sessions[x.of.Session] += x.size
				people[x.of.Who] += x.size
				people[session.Identity{Iss: x.of.Who.Iss}] += x.size
			}
			for id, n := range sessions {
				if n > most*sessionParts/allParts || n != m.sessions[id] {
					t.Fatalf("a session holds %d, and %d are counted", n, m.sessions[id])
				}
			}
			for who, n := range people {
				if bound := map[bool]int{true: vendorParts, false: personParts}[who.Sub == ""]; n > most*bound/allParts || n != m.people[who] {
					t.Fatalf("%v holds %d, and %d are counted", who, n, m.people[who])
				}
			}
			if sum > most || sum != m.all {
				t.Fatalf("%d are held, and %d are counted", sum, m.all)
			}
		}
		for _, x := range all {
			if err := m.Change(x.of, x.size, 0); err != nil {
				t.Fatal(err)
			}
		}
		if m.all != 0 || len(m.sessions)+len(m.people) != 0 {
			t.Fatalf("not all is given back: %+v", m)
		}
	})
}

// What waits is counted for its session, its person and their vendor, and all is given back;
// whoever has nothing is full only where all have taken all.
func TestABudgetIsShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const each, most = 60, 240
		b := New(each, most)
		var owners [6]Owner
		for i := range owners {
			owners[i] = Owner{session.NewID(), session.Identity{Iss: fmt.Sprint("v", i/4), Sub: fmt.Sprint("p", i/2)}}
		}
		var took [len(owners)]int
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			i := rapid.IntRange(0, len(owners)-1).Draw(t, "owner")
			n := rapid.IntRange(-took[i], 50).Draw(t, "bytes")
			if took[i] += n; n < 0 {
				b.By(owners[i]).Give(-n)
			} else {
				b.By(owners[i]).Take(n)
			}
			for j, o := range owners {
				person, vendor, all := 0, 0, 0
				for k, n := range took {
					all += n
					if k/2 == j/2 {
						person += n
					}
					if k/4 == j/4 {
						vendor += n
					}
				}
				want := took[j] > each || person > most*personParts/allParts || vendor > most*vendorParts/allParts || all > most
				if got := b.By(o).Full(); got != want {
					t.Fatalf("%d: full is %v of %d, %d of the person, %d of the vendor, %d in all", j, got, took[j], person, vendor, all)
				}
			}
		}
		for i, n := range took {
			b.By(owners[i]).Give(n)
		}
		if b.all != 0 || len(b.sessions)+len(b.people) != 0 {
			t.Fatalf("not all is given back: %+v", b)
		}
	})
}
