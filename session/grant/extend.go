package grant

import (
	"time"

	"github.com/sallyport/sallyport/session"
)

// extends checks what an extension must satisfy by itself: it brings no key and
// counts at once.
func extends(r Request, received time.Time) error {
	switch {
	case r.Key != "":
		return refused("An extension brings no key.", "Activate further keys for the session itself.")
	case time.Unix(r.NBF, 0).After(received.Add(slack)):
		return refused("An extension begins now.", "Ask for it when it is needed.")
	}
	return nil
}

// slack is how far an engineer's clock may be ahead of the agent's.
const slack = 2 * time.Minute

// Extends checks that a request prolongs the session of an admitted grant and
// changes nothing else: the same engineer and scanner, no more services, channels or
// class. Whether that session lives is for the ledger.
func (v Verified) Extends(r Request) error {
	p := v.grant
	switch {
	case !v.ok || r.Kind != KindExtension || r.Parent != p.GID:
		return refused("The extension is for another session.", "Name the live session.")
	case r.Eng != v.request.Eng:
		return denied("Only its engineer can have a session extended.", "Ask for a session of your own.")
	case r.Site != p.Site || r.Asset != p.Asset:
		return refused("The extension is for another scanner than the session.", "Ask for a new session.")
	case !subset(r.Services, p.Services):
		return refused("An extension adds no services.", "Ask for a new session.")
	case !subset(r.Channels, p.Channels):
		return refused("An extension adds no channels.", "Ask for a new session.")
	case !r.Class.Within(p.Class):
		return refused("An extension raises no service class.", "Ask for a new session.")
	}
	return nil
}

// CheckExtension is Extends together with the asset's policy: the session's window,
// counted from where it first began, stays within what the hospital allows.
func (v *Verifier) CheckExtension(r Request, parent Verified) error {
	if err := parent.Extends(r); err != nil {
		return err
	}
	p := v.assets[r.Asset].Policy
	if end := time.Unix(r.EXP, 0); end.Sub(time.Unix(parent.grant.NBF, 0)) > p.Window {
		return &session.Error{
			Kind:    session.Refused,
			Message: "The extension reaches beyond the longest window of " + r.Asset + ", which is " + p.Window.String() + ".",
			Next:    "Ask for less, or for a new session.",
		}
	}
	return nil
}
