package identity_test

import (
	"context"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// book is an audit log that can fail.
type book struct {
	events []witness.Event
	full   bool
}

func (b *book) Append(_ context.Context, e witness.Event) error {
	if b.full {
		return session.Errorf(session.Internal, "the disk is full")
	}
	b.events = append(b.events, e)
	return nil
}

func (b *book) kinds() (all []string) {
	for _, e := range b.events {
		all = append(all, e.Event)
	}
	b.events = nil
	return all
}

// A person of two hospitals is read about at each, and nowhere else.
func TestAPersonOfTwoSitesMakesAnEntryAtEach(t *testing.T) {
	w, b := newWorld(t), &book{}
	w.cfg.Audit = b
	for i := range w.cfg.Issuers {
		if w.cfg.Issuers[i].URL == hospital {
			w.cfg.Issuers[i].Sites = []string{"NGH", "XYZ"}
		}
	}
	w.reopen()
	p := somebody(hospital, "ben", w.clock(), session.GroupApprovers)
	g, err := w.Login(t.Context(), p.attempt())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Logout(t.Context(), g.Token); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range b.events {
		got = append(got, e.Event+"@"+e.Site)
	}
	if want := []string{"login@NGH", "login@XYZ", "logout@NGH", "logout@XYZ"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSignInsAreWrittenDownFirst(t *testing.T) {
	w, b := newWorld(t), &book{}
	w.cfg.Audit = b
	w.reopen()
	p := engineer(w)
	b.full = true
	if g, err := w.Login(t.Context(), p.attempt()); session.KindOf(err) != session.Internal || g.Token != "" {
		t.Errorf("signed in without a log: %v", err)
	}
	b.full = false
	again := somebody(vendor, "eva", w.clock(), session.GroupEngineers)
	g, err := w.Login(t.Context(), again.attempt())
	if err != nil {
		t.Fatal(err)
	}
	if b.events[0].Who.Sub != "eva" || b.events[0].Site != "" {
		t.Errorf("%+v", b.events[0])
	}
	b.full = true
	if err := w.Logout(t.Context(), g.Token); session.KindOf(err) != session.Internal {
		t.Errorf("signed out without a log: %v", err)
	}
	if _, err := w.Authenticate(t.Context(), g.Token); err != nil {
		t.Errorf("half signed out: %v", err)
	}
	b.full = false
	for range 2 {
		if err := w.Logout(t.Context(), g.Token); err != nil {
			t.Fatal(err)
		}
	}
	stranger := somebody(hospital, "sam", w.clock(), "visitors")
	if _, err := w.Login(t.Context(), stranger.attempt()); session.KindOf(err) != session.Denied {
		t.Errorf("a visitor: %v", err)
	}
	refused := b.events[len(b.events)-1]
	if refused.Site != "NGH" || refused.Who != nil || refused.Details["why"] == "" {
		t.Errorf("%+v", refused)
	}
	if got, want := b.kinds(), []string{witness.LoggedIn, witness.LoggedOut, witness.LoginRefused}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	b.full = true
	stranger = somebody(hospital, "sue", w.clock(), "visitors")
	if _, err := w.Login(t.Context(), stranger.attempt()); session.KindOf(err) != session.Internal {
		t.Errorf("refused without a log: %v", err)
	}
}
