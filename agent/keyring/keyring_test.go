package keyring

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/passkey"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func key(who string, n int) grant.Registered {
	id := fmt.Appendf(nil, "%016d-%s", n, who)
	return grant.Registered{Key: passkey.Key{ID: id, Public: []byte("a public key"), Count: 1}, Groups: []string{"scanner-approvers"}, Since: noon,
		Person: session.Person{Identity: session.Identity{Iss: "https://idp.example", Sub: who}, Email: who + "@ngh.example"}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What is on the disk counts, in this process and the next; what was revoked never again.
func TestKeysAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passkeys.json")
	r := At(path)
	if all, err := r.All(); len(all) != 0 || err != nil {
		t.Fatal(all, err)
	}
	anna, bernd := key("anna", 1), key("bernd", 1)
	must(t, r.Add(anna, "console.ngh.example"))
	must(t, r.Add(bernd, "console.ngh.example"))
	if err := r.Add(anna, "console.ngh.example"); session.KindOf(err) != session.Refused {
		t.Error("twice:", err)
	}
	other := At(path)
	if k, ok := other.Find(anna.Key.ID); !ok || k.Person != anna.Person || k.Key.Count != 1 {
		t.Fatal(k, ok)
	}
	if _, ok := other.Find([]byte("nobody's")); ok {
		t.Error("a key that is not there")
	}
	must(t, other.Counted(anna.Key, 5, noon))
	if err := r.Counted(anna.Key, 6, noon); session.KindOf(err) != session.Refused {
		t.Error("an answer to an older count:", err)
	}
	all, err := r.All()
	must(t, err)
	if gone, err := r.Revoke(all[0].Public().Name(), noon.Add(time.Hour)); err != nil || len(gone) != 1 || gone[0].Person.Sub != "anna" {
		t.Fatal(gone, err)
	}
	if _, ok := other.Find(anna.Key.ID); ok {
		t.Error("a revoked key counts")
	}
	if err := other.Counted(passkey.Key{ID: anna.Key.ID, Count: 5}, 6, noon); session.KindOf(err) != session.Refused {
		t.Error("a revoked key counts on:", err)
	}
	if err := r.Add(anna, "console.ngh.example"); session.KindOf(err) != session.Refused {
		t.Error("a revoked key is taken again:", err)
	}
	if all, err = r.All(); err != nil || len(all) != 2 || all[0].Public().Counts(noon.Add(time.Hour)) || !all[0].Public().Counts(noon.Add(time.Minute)) || !all[1].Public().Counts(noon.Add(time.Hour)) {
		t.Error(all, err)
	}
	if _, err := r.Revoke("anna@ngh.example", noon); session.KindOf(err) != session.Invalid {
		t.Error("nothing is left to revoke:", err)
	}
	if gone, err := r.Revoke("bernd@ngh.example", noon); err != nil || len(gone) != 1 {
		t.Error(gone, err)
	}
}

// A person's keys are a share, and what is revoked is remembered within bounds.
func TestKeysAreAShare(t *testing.T) {
	r := At(filepath.Join(t.TempDir(), "passkeys.json"))
	for n := range maxOfPerson {
		must(t, r.Add(key("anna", n), "h.example"))
	}
	if err := r.Add(key("anna", 99), "h.example"); session.KindOf(err) != session.Refused {
		t.Error(err)
	}
	must(t, r.Add(key("bernd", 1), "h.example"))
	for round := range 4 {
		_, err := r.Revoke("anna", noon)
		must(t, err)
		for n := range maxOfPerson {
			must(t, r.Add(key("anna", 100*(round+1)+n), "h.example"))
		}
	}
	all, err := r.All()
	if err != nil || len(all) != maxRevokedP+maxOfPerson+1 {
		t.Errorf("%d keys, %v", len(all), err)
	}
}

// A file that cannot be read holds no key, and nothing is written over it.
func TestABrokenRingHoldsNothing(t *testing.T) {
	for _, text := range []string{"[", `[{"x":1}]`, `[{"key":{"id":"","public":"","count":0}}]`} {
		path := filepath.Join(t.TempDir(), "passkeys.json")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		r := At(path)
		if _, err := r.All(); err == nil {
			t.Errorf("%s is read", text)
		}
		if _, ok := r.Find(nil); ok {
			t.Errorf("%s holds a key", text)
		}
		if r.Add(key("anna", 1), "h.example") == nil {
			t.Errorf("%s is written over", text)
		}
	}
}

// Of answers that were checked at one count, one counts.
func TestOneAnswerOfMany(t *testing.T) {
	r := At(filepath.Join(t.TempDir(), "passkeys.json"))
	k := key("anna", 1)
	must(t, r.Add(k, "h.example"))
	var wins sync.Map
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			if r.Counted(k.Key, uint32(2+n), noon) == nil {
				wins.Store(n, true)
			}
		})
	}
	all.Wait()
	n := 0
	wins.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d of 8 count", n)
	}
}

// The broker is told of a key when it comes and when it goes, and of nothing twice.
func TestTheBrokerIsOwedWhatChanged(t *testing.T) {
	r := At(filepath.Join(t.TempDir(), "passkeys.json"))
	owed := func(want ...string) []Key {
		t.Helper()
		all, err := r.Owed()
		must(t, err)
		var got []string
		for _, k := range all {
			got = append(got, k.Person.Sub)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("owed is %v, want %v", got, want)
		}
		return all
	}
	owed()
	must(t, r.Add(key("anna", 1), "console.ngh.example"))
	must(t, r.Add(key("bernd", 1), "console.ngh.example"))
	first := owed("anna", "bernd")
	must(t, r.Heard(first[0]))
	owed("bernd")
	// What is heard late is what was said then: it was revoked meanwhile.
	_, err := r.Revoke("bernd", noon.Add(time.Hour))
	must(t, err)
	must(t, r.Heard(first[1]))
	gone := owed("bernd")
	_, err = r.Revoke("anna", noon.Add(time.Hour))
	must(t, err)
	must(t, r.Heard(gone[0]))
	must(t, r.Heard(owed("anna")[0]))
	owed()
	must(t, r.Heard(Key{Registered: key("nobody", 9)}))
	owed()
}
