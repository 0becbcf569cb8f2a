package grant

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

func criticalRequest() Request {
	r := NewRequest()
	r.Site, r.Asset, r.Services, r.Class, r.Channels = "NGH", "PETCT1", []string{"recon-ssh"}, session.Disruptive, []session.Channel{session.Shell}
	r.NBF, r.EXP, r.MaxS, r.Crit, r.Eng = 1000, 9000, 1800, 900, session.Identity{Iss: "https://vendor", Sub: "eva"}
	return r
}

// The field is signed, has one spelling, and is not there where nothing is asked.
func TestACriticalSectionIsSigned(t *testing.T) {
	r := criticalRequest()
	doc, err := r.Marshal()
	if err != nil || !bytes.Contains(doc, []byte(`"maxs":1800,"crit":900,"eng"`)) {
		t.Fatalf("%s, %v", doc, err)
	}
	if again, err := ParseRequest(doc); err != nil || again.Crit != 900 {
		t.Errorf("%+v, %v", again, err)
	}
	r.Crit = 0
	none, err := r.Marshal()
	if err != nil || bytes.Contains(none, []byte("crit")) {
		t.Fatalf("%s, %v", none, err)
	}
	for _, spelling := range []string{`"crit":0`, `"crit":-1`, `"crit":1801`, `"crit":9e2`, `"crit":900,"crit":900`, `"Crit":900`} {
		if _, err := ParseRequest([]byte(strings.Replace(string(doc), `"crit":900`, spelling, 1))); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", spelling, err)
		}
	}
	for _, class := range []session.Class{session.Observe, session.NonDisruptive} {
		r := criticalRequest()
		if r.Class = class; session.KindOf(second(r.Marshal())) != session.Invalid {
			t.Errorf("%s has a critical section", class)
		}
	}
}

func second(_ []byte, err error) error { return err }

// A grant has the section that was asked for or none, never more; a policy bounds it, and
// an extension brings none.
func TestACriticalSectionIsBounded(t *testing.T) {
	r := criticalRequest()
	doc, _ := r.Marshal()
	agent := "SHA256:" + strings.Repeat("A", 43)
	g, err := Draft(doc, agent, Less{})
	if err != nil || g.Crit != 900 {
		t.Fatalf("%+v, %v", g, err)
	}
	for name, less := range map[string]Less{"a milder class": {Class: session.NonDisruptive}} {
		if g, err := Draft(doc, agent, less); err != nil || g.Crit != 0 || !g.Narrows(r) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	if g.Crit = 901; Within(g, r) == nil {
		t.Error("wider than asked")
	}
	scanner := func(critical time.Duration) session.Asset {
		return session.Asset{Name: "PETCT1", Services: []session.Service{{Name: "recon-ssh", Protocol: session.SSH, Class: session.Disruptive}},
			Policy: session.Policy{Longest: time.Hour, Window: 24 * time.Hour, Channels: []session.Channel{session.Shell}, Critical: critical}}
	}
	for critical, fits := range map[time.Duration]bool{0: false, 899 * time.Second: false, 15 * time.Minute: true} {
		err := AdmitsTerms(scanner(critical), r.Terms(), time.Unix(1000, 0))
		if (err == nil) != fits || !fits && WhyNot(err) != TooCritical {
			t.Errorf("%s: %v", critical, err)
		}
	}
	if _, err := Settle(scanner(session.MaxCritical + time.Second)); err == nil {
		t.Error("a policy beyond the bound")
	}
	x := criticalRequest()
	x.Kind, x.Parent = KindExtension, g.GID
	if err := Prolongs(x, g, x.Eng); session.KindOf(err) != session.Refused {
		t.Errorf("an extension with a section: %v", err)
	}
}
