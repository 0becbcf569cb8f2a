package grant

import (
	"time"

	"github.com/sallyport/sallyport/session"
)

// Extends checks that a request prolongs the session of an admitted grant and nothing
// else; see Prolongs. Whether that session lives is for the ledger.
func (v Verified) Extends(r Request) error {
	if !v.ok {
		return Prolongs(r, Grant{}, session.Identity{})
	}
	return Prolongs(r, v.grant, v.request.Eng)
}

// Prolongs checks that a request extends the session of an engineer's grant and changes
// nothing else: the same scanner, no more services, channels or class.
func Prolongs(r Request, p Grant, eng session.Identity) error {
	const next = "Ask for a new session."
	switch {
	case r.Kind != KindExtension || r.Parent == "" || r.Parent != p.GID:
		return refused("The extension is for another session.", "Name the live session.")
	case r.Eng != eng:
		return denied("Only its engineer can have a session extended.", "Ask for a session of your own.")
	case r.Site != p.Site || r.Asset != p.Asset:
		return refused("The extension is for another scanner than the session.", next)
	case !subset(r.Services, p.Services):
		return refused("An extension adds no services.", next)
	case !subset(r.Channels, p.Channels):
		return refused("An extension adds no channels.", next)
	case !r.Class.Within(p.Class):
		return refused("An extension raises no service class.", next)
	case r.Crit != 0:
		return refused("An extension brings no critical section; the session keeps its own.", next)
	}
	return nil
}

// ProlongsWithin is Prolongs together with the scanner's policy: the session's window,
// counted from where it first began, stays within what the hospital allows.
func ProlongsWithin(a session.Asset, r Request, p Grant, eng session.Identity) error {
	if err := Prolongs(r, p, eng); err != nil {
		return err
	}
	if r.EXP-p.NBF > int64(a.Policy.Window/time.Second) {
		return not(TooWide, "Ask for less, or for a new session.",
			"The extension reaches beyond the longest window of %s, which is %s.", r.Asset, span(a.Policy.Window))
	}
	return nil
}

// CheckExtension is ProlongsWithin the agent's own policy.
func (v *Verifier) CheckExtension(r Request, parent Verified) error {
	if err := parent.Extends(r); err != nil {
		return err
	}
	return ProlongsWithin(v.assets[r.Asset], r, parent.grant, parent.request.Eng)
}
