package ledger

import (
	"fmt"
	"time"

	"github.com/sallyport/sallyport/session/grant"
)

// held is how much of something is there: of one engineer, of all of the same vendor,
// and altogether.
type held struct{ own, vendor, all int }

func (h *held) add(of, to *entry) {
	h.all++
	if of.request.Eng.Iss == to.request.Eng.Iss {
		h.vendor++
	}
	if of.request.Eng == to.request.Eng {
		h.own++
	}
}

// room refuses a request when its engineer or vendor has had their share of what waits
// here, or of what waits and was granted and not opened; so that neither keeps others out.
// Extensions have shares of their own: no flood of requests keeps a session from going on.
func (l *Ledger) room(e *entry, now time.Time) error {
	waits, kept, past := l.standing(e, now)
	const withdraw = "Withdraw one with sallyport request withdraw, or wait until the hospital has answered."
	switch {
	case waits.own >= grant.MaxWaiting:
		return refused(fmt.Sprintf("%d of your requests wait for this hospital's answer, and there can be no more.", waits.own), withdraw, nil)
	case kept.own >= maxKeptEngineer:
		return refused("You have as many requests and unopened grants at this hospital as one engineer may have.", "Withdraw one that you do not need with sallyport request withdraw.", nil)
	case waits.vendor >= grant.MaxVendorWaiting:
		return refused(fmt.Sprintf("%d requests of your company wait for this hospital's answer, and there can be no more.", waits.vendor), "Have your colleagues withdraw some, or wait until the hospital has answered.", nil)
	case kept.vendor >= maxKeptVendor:
		return refused("Your company has as many requests and unopened grants at this hospital as one may have.", "Have your colleagues withdraw what they do not need.", nil)
	case past.own >= maxPastEngineer:
		return refused("You have asked this hospital as often as its agent remembers at a time.", "Wait until your older requests have been over for two weeks, or call the hospital.", nil)
	case past.vendor >= maxPastVendor || past.all >= maxPast:
		return refused("This hospital was asked as often as its agent remembers at a time.", "Wait until older requests have been over for two weeks, or call the hospital.", nil)
	case waits.all >= maxPending || kept.all >= maxKept:
		return refused("As many requests wait at this hospital as its agent keeps.", "Wait until the hospital has answered some, or call it.", nil)
	}
	return nil
}

// standing counts what is in the way of a request: what waits, with it what was granted
// and not opened, and what is over. An approval moves an entry within kept, and so needs
// no share; neither does what ends one.
func (l *Ledger) standing(e *entry, now time.Time) (waits, kept, past held) {
	extension := e.request.Kind == grant.KindExtension
	for _, o := range l.entries {
		switch {
		case (o.request.Kind == grant.KindExtension) != extension:
		case o.shut || o.lapsed(now):
			past.add(o, e)
		case o.rec.State == opened:
		case o.rec.State == pending:
			waits.add(o, e)
			kept.add(o, e)
		default:
			kept.add(o, e)
		}
	}
	return waits, kept, past
}
