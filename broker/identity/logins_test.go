package identity_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// byCommandLine signs somebody in with a fresh token.
func (w *world) byCommandLine(iss, sub, group string) identity.Granted {
	w.t.Helper()
	w.advance(time.Minute)
	g, err := w.Login(w.t.Context(), somebody(iss, sub, w.clock(), group).attempt())
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func TestLoginsOfTheCommandLine(t *testing.T) {
	w, b := newWorld(t), &book{}
	w.cfg.Audit, w.cfg.Web = b, identity.Web{Shelf: w.store}
	w.reopen()
	one, two := w.byCommandLine(vendor, "ada", session.GroupEngineers), w.byCommandLine(vendor, "ada", session.GroupEngineers)
	other := w.byCommandLine(hospital, "ada", session.GroupApprovers)
	all, err := w.Logins(t.Context(), one.Caller)
	if err != nil || len(all) != 2 || all[0].Web || all[0].ID != two.Caller.Login || all[0].Agent != "" {
		t.Fatalf("%+v %v", all, err)
	}
	if err := w.End(t.Context(), one.Caller, other.Caller.Login); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("somebody else's login: %v", err)
	}
	if err := w.End(t.Context(), one.Caller, "x"); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("nobody's login: %v", err)
	}
	if _, err := w.Browser(t.Context(), one.Token); !errors.Is(err, identity.ErrNotSignedIn) {
		t.Errorf("a bearer as a cookie: %v", err)
	}
	b.kinds()
	b.full = true
	if err := w.EndAll(t.Context(), one.Caller); err == nil {
		t.Error("ended without a log")
	}
	b.full = false
	if _, err := w.Authenticate(t.Context(), two.Token); err != nil {
		t.Errorf("ended before it was written down: %v", err)
	}
	if err := w.EndAll(t.Context(), one.Caller); err != nil {
		t.Fatal(err)
	}
	if e := b.events[0]; e.Event != witness.LoggedOut || e.Details["everywhere"] != "2" || e.Who.Sub != "ada" {
		t.Errorf("%+v", e)
	}
	for _, g := range []identity.Granted{one, two} {
		if _, err := w.Authenticate(t.Context(), g.Token); !errors.Is(err, identity.ErrNotSignedIn) {
			t.Errorf("still signed in: %v", err)
		}
		if _, err := w.Alive(t.Context(), g.Caller); !errors.Is(err, identity.ErrNotSignedIn) {
			t.Errorf("still alive: %v", err)
		}
	}
	if _, err := w.Authenticate(t.Context(), other.Token); err != nil {
		t.Errorf("somebody else's login ended: %v", err)
	}
}

func TestTheOldestLoginsMakeRoom(t *testing.T) {
	w := newWorld(t)
	w.cfg.Web = identity.Web{Shelf: w.store}
	w.reopen()
	first := w.byCommandLine(vendor, "ada", session.GroupEngineers)
	var last identity.Granted
	for range 40 {
		last = w.byCommandLine(vendor, "ada", session.GroupEngineers)
	}
	all, err := w.Logins(t.Context(), last.Caller)
	if err != nil || len(all) != 40 {
		t.Errorf("%d logins, %v", len(all), err)
	}
	if _, err := w.Authenticate(t.Context(), first.Token); !errors.Is(err, identity.ErrNotSignedIn) {
		t.Errorf("the oldest: %v", err)
	}
}

func TestBrowsersNeedTheirConfiguration(t *testing.T) {
	w := newWorld(t)
	for i := range w.cfg.Issuers {
		w.cfg.Issuers[i].Domains = []string{"Example.org"}
		w.cfg.Issuers[i].Client = &http.Client{Transport: http.NewFileTransport(http.Dir(t.TempDir()))} // which answers nothing
		w.cfg.Issuers[i].Clients = map[string]session.ClientClass{"sallyport-web": session.Web}
	}
	if _, err := identity.New(w.cfg); err == nil {
		t.Error("two providers for one domain")
	}
	w.cfg.Issuers[1].Domains = []string{"hospital.example"}
	w.reopen()
	if _, err := w.StartLogin(t.Context(), identity.Visit{}, "a@hospital.example", "/", ""); err == nil {
		t.Error("sent off with nowhere to keep the trip")
	}
	w.cfg.Web.Shelf = w.store
	w.reopen()
	if d, err := w.StartLogin(t.Context(), identity.Visit{}, "a@EXAMPLE.org", "/", ""); err == nil || strings.Contains(err.Error(), "for that address") {
		t.Errorf("a known domain in another case: %v, %v", d, err)
	}
}
