// Package keyring keeps the passkeys that people registered on the agent's page: one file,
// replaced whole and synced. It judges nothing; packages passkey and grant do. Whoever looks
// for a key reads the file, so a word of the operator's counts at once, and a file that
// cannot be read holds no key.
package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/passkey"
)

// Ring is the passkeys of one agent. Several may look at one file.
type Ring struct {
	path string
	mu   sync.Mutex // held while it is changed
}

// Key is a passkey with what became of it.
type Key struct {
	grant.Registered
	Host  string    `json:"host"` // of the page that it is bound to
	Used  time.Time `json:"used,omitzero"`
	Until time.Time `json:"until,omitzero"` // it was revoked then
	Told  told      `json:"told,omitempty"`
}

// told is what the broker has heard of a key.
type told string

const (
	toldOfIt  told = "registered"
	toldOfEnd told = "revoked" // and of its registration
)

// owed reports whether the broker has not heard all there is.
func (k Key) owed() bool { return k.Told != k.news() }

func (k Key) news() told {
	if k.Until.IsZero() {
		return toldOfIt
	}
	return toldOfEnd
}

// Public is the key as the trust bundle names it.
func (k Key) Public() session.ConsoleKey {
	return session.ConsoleKey{ID: k.Key.ID, Public: k.Key.Public, Host: k.Host, Owner: k.Person.Identity, Since: k.Since, Until: k.Until}
}

// At is the ring whose file has this path. It need not be there yet.
func At(path string) *Ring { return &Ring{path: path} }

// Find is a key that counts.
func (r *Ring) Find(id []byte) (grant.Registered, bool) {
	all, err := r.All()
	i := slices.IndexFunc(all, func(k Key) bool { return k.Until.IsZero() && bytes.Equal(k.Key.ID, id) })
	if err != nil || i < 0 {
		return grant.Registered{}, false
	}
	return all[i].Registered, true
}

// Of are the keys of a person that count, the oldest first.
func (r *Ring) Of(who session.Identity) (own []Key, err error) {
	all, err := r.All()
	for _, k := range all {
		if k.Until.IsZero() && k.Person.Identity == who {
			own = append(own, k)
		}
	}
	return own, err
}

// All are the keys, those that were revoked too, in the order of their registration. No ring
// has none.
func (r *Ring) All() ([]Key, error) {
	if r == nil {
		return nil, nil
	}
	raw, err := durable.Read(r.path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Key
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err = dec.Decode(&all); err == nil {
			err = check(all)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the registered passkeys in %s: %w", r.path, err)
	}
	return all, nil
}

func check(all []Key) error {
	public := make([]session.ConsoleKey, 0, len(all))
	for _, k := range all {
		public = append(public, k.Public())
	}
	return session.CheckConsoleKeys(public)
}

// Add registers a key for somebody. One that is known, also as revoked, is never taken again.
func (r *Ring) Add(k grant.Registered, host string) error {
	k.Since = k.Since.Round(0).UTC()
	k.Groups = k.Groups[:min(len(k.Groups), maxGroups)]
	return r.change(func(all []Key) ([]Key, error) {
		own, count := 0, 0
		for _, o := range all {
			switch {
			case bytes.Equal(o.Key.ID, k.Key.ID):
				return nil, refused("This passkey was registered before.", "Use it as it is; one that was revoked is never taken again.")
			case !o.Until.IsZero():
				continue
			case o.Person.Identity == k.Person.Identity:
				own++
			}
			count++
		}
		switch {
		case own >= maxOfPerson:
			return nil, refused(fmt.Sprintf("%d passkeys are registered for this person, which is all there can be.", own), "Have one that is not used any more revoked: sallyport-agent keys revoke.")
		case count >= maxKeys:
			return nil, refused(fmt.Sprintf("%d passkeys are registered here, which is all there can be.", count), "Have those of people who left revoked: sallyport-agent keys revoke.")
		}
		return append(all, Key{Registered: k, Host: host}), nil
	})
}

// Counted keeps how far a key has counted, on the disk, before what it signed counts for
// anything. Two answers that were checked at the same count are one too many.
func (r *Ring) Counted(before passkey.Key, count uint32, at time.Time) error {
	return r.change(func(all []Key) ([]Key, error) {
		i := slices.IndexFunc(all, func(k Key) bool { return k.Until.IsZero() && bytes.Equal(k.Key.ID, before.ID) })
		if i < 0 {
			return nil, refused("This passkey was revoked meanwhile.", "Register another one, or sign in at the identity provider.")
		}
		if now := all[i].Key.Count; now != before.Count || count < now || count == now && count != 0 {
			return nil, refused("This passkey was used a second time meanwhile, so nothing was approved.", "Load the page again and start anew; if it stays so, tell your security contact.")
		}
		all[i].Key.Count, all[i].Used = count, at.Round(0).UTC()
		return all, nil
	})
}

// Revoke makes keys count for nothing from now on: the one of that name, or all of the
// person with that address or subject. What they approved and nobody has admitted yet does
// not count any more either.
func (r *Ring) Revoke(which string, now time.Time) (gone []Key, err error) {
	return gone, r.change(func(all []Key) ([]Key, error) {
		for i, k := range all {
			if k.Until.IsZero() && which != "" && (k.Public().Name() == which || k.Person.Email == which || k.Person.Sub == which) {
				all[i].Until, all[i].Groups = later(now.Round(0).UTC(), k.Since), nil
				gone = append(gone, all[i])
			}
		}
		if len(gone) == 0 {
			return nil, session.Errorf(session.Invalid, "No passkey %.80q counts here, and none of such a person.", which).WithNext("See sallyport-agent keys ls.")
		}
		return forget(all), nil
	})
}

// Owed are the keys of which the broker has not heard all, the oldest first.
func (r *Ring) Owed() ([]Key, error) {
	all, err := r.All()
	return slices.DeleteFunc(all, func(k Key) bool { return !k.owed() }), err
}

// Heard notes that the broker knows of a key what k says.
func (r *Ring) Heard(k Key) error {
	return r.change(func(all []Key) ([]Key, error) {
		for i := range all {
			if bytes.Equal(all[i].Key.ID, k.Key.ID) {
				all[i].Told = k.news()
			}
		}
		return all, nil
	})
}

// forget drops the oldest revoked keys beyond what is remembered.
func forget(all []Key) []Key {
	total, of := 0, map[session.Identity]int{}
	kept := slices.Clone(all[:0:0])
	for _, k := range slices.Backward(all) {
		if !k.Until.IsZero() {
			if of[k.Person.Identity] >= maxRevokedP || total >= maxRevoked {
				continue
			}
			total++
			of[k.Person.Identity]++
		}
		kept = append(kept, k)
	}
	slices.Reverse(kept)
	return kept
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// change replaces the file. Another process that changes it too is refused, or refuses.
func (r *Ring) change(change func([]Key) ([]Key, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	unlock, err := durable.Lock(r.path + ".lock")
	if err != nil {
		return &session.Error{Kind: session.Unreachable, Message: "The registered passkeys are being changed by somebody else.", Next: "Try again.", Err: err}
	}
	all, err := r.All()
	if err == nil {
		all, err = change(all)
	}
	if err == nil {
		var raw []byte
		if raw, err = json.MarshalIndent(all, "", "  "); err == nil {
			err = durable.Write(r.path, append(raw, '\n'))
		}
	}
	return errors.Join(err, unlock())
}

func refused(message, next string) error {
	return &session.Error{Kind: session.Refused, Message: message, Next: next}
}
