package access_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// hostile is the agent of XYZ, which announces what it likes.
var hostile = &accesstest.Agents{Site: "XYZ", Name: "main"}

// Another hospital that calls its scanner and service as this one does gets nothing that
// was meant for this one.
func TestOneHospitalIsNotTakenForAnother(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	r, _ := w.approved(ada)
	local := someone("vendor", "local", session.Engineer, "NGH")
	route := func(host string) string {
		t.Helper()
		to, err := w.Route(ctx, ada.id(), host)
		if err != nil {
			return string(session.KindOf(err)) + ": " + err.Error()
		}
		if to.Request.Request() != r.ID {
			t.Errorf("%s leads to %+v", host, to)
		}
		return to.Target().String()
	}
	const full, short, theirs = "recon-ssh.ngh-petct1.ngh", "recon-ssh.ngh-petct1", "recon-ssh.ngh-petct1.xyz"
	if got := route(short); got != "NGH/NGH-PETCT1/recon-ssh" {
		t.Fatal(got)
	}
	for _, name := range []string{"NGH-PETCT1", "ngh-petct1", "Ngh-Petct1"} {
		h := hostile.Hello(name)
		h.Assets[0].Services[0].Name = "RECON-ssh"
		w.must(w.Announce(ctx, h))
		ambiguous := "ngh-petct1/recon-ssh is ambiguous: it could be NGH/NGH-PETCT1/recon-ssh or XYZ/" + name + "/RECON-ssh."
		for host, want := range map[string]string{
			full: "NGH/NGH-PETCT1/recon-ssh", strings.ToUpper(full): "NGH/NGH-PETCT1/recon-ssh",
			short:  "invalid: " + ambiguous,
			theirs: "denied: You have not asked for XYZ/" + name + "/RECON-ssh.",
		} {
			if got := route(host); got != want {
				t.Errorf("%s beside %s: %s, want %s", host, name, got, want)
			}
		}
		_, err := w.Access.Access(ctx, ada, session.Target{Asset: "ngh-petct1", Service: "recon-ssh"})
		w.wants(err, session.Invalid, ambiguous)
		if x, err := w.Access.Access(ctx, ada, recon); err != nil || !x.Ready || named(x) != recon {
			t.Errorf("by its full name: %+v, %v", x, err)
		}
		if x, err := w.Access.Access(ctx, ada, session.Target{Site: "xyz", Asset: "NGH-PETCT1", Service: "recon-ssh"}); err != nil || x.Ready || x.Site != "XYZ" {
			t.Errorf("theirs: %+v, %v", x, err)
		}
		// Who may not know of the other one is not told of it, and need not name the site.
		if x, err := w.Access.Access(ctx, local, session.Target{Asset: "NGH-PETCT1", Service: "recon-ssh"}); err != nil || named(x) != recon {
			t.Errorf("for somebody of one hospital: %+v, %v", x, err)
		}
	}
	// The scanner goes out of the catalogue while the session may still be opened: its short
	// name does not become the other hospital's.
	w.must(w.Announce(ctx, w.agent.Hello("NGH-CT2")))
	if got := route(short); !strings.HasPrefix(got, "invalid: ") || !strings.Contains(got, "NGH/NGH-PETCT1/recon-ssh") {
		t.Error(got)
	}
	if got := route(full); got != "NGH/NGH-PETCT1/recon-ssh" {
		t.Error(got)
	}
}

// What a hospital announces changes nothing of another's, and no name pretends to be one.
func TestAnnouncementsStayAtTheirSite(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	of := func(site string) string {
		all, err := scanners(ctx, w.Access, ada, access.Which{Site: site})
		w.must(err)
		var s []string
		for _, x := range all {
			s = append(s, x.Site+"/"+x.Name+" "+x.Agent)
		}
		return strings.Join(s, ", ")
	}
	before := of("NGH")
	w.must(w.Announce(ctx, hostile.Hello("NGH-PETCT1", "ngh-ct2", "NGH-NGH-PETCT1", "NGH")))
	if got := of("NGH"); got != before {
		t.Errorf("NGH became %s, was %s", got, before)
	}
	if got := of("XYZ"); strings.Count(got, hostile.Fingerprint()) != 4 || strings.Contains(got, w.agent.Fingerprint()) {
		t.Errorf("XYZ is %s", got)
	}
	for name, spoil := range map[string]func(*link.Hello){
		"a full name":       func(h *link.Hello) { h.Assets[0].Name = "NGH/NGH-PETCT1" },
		"a host name":       func(h *link.Hello) { h.Assets[0].Name = "ngh-petct1.ngh" },
		"a service as both": func(h *link.Hello) { h.Assets[0].Services[0].Name = "NGH-PETCT1/recon-ssh" },
		"a service's host":  func(h *link.Hello) { h.Assets[0].Services[0].Name = "recon-ssh.ngh-petct1" },
		"letters of others": func(h *link.Hello) { h.Assets[0].Name = "NGH-PETC\u0422" },
		"a Kelvin sign":     func(h *link.Hello) { h.Assets[0].Name = "NGH-\u212a" },
		"a space after it":  func(h *link.Hello) { h.Assets[0].Name = "NGH-PETCT1 " },
		"nothing one sees":  func(h *link.Hello) { h.Assets[0].Name = "NGH-PETCT1\u200b" },
		"a name turned":     func(h *link.Hello) { h.Assets[0].Name = "\u202e1TCTEP-HGN" },
		"a service turned":  func(h *link.Hello) { h.Assets[0].Services[0].Name = "recon-ssh\u200f" },
		"a title turned":    func(h *link.Hello) { h.Assets[0].Label = "\u202e46 noileH" },
		"a title isolated":  func(h *link.Hello) { h.Assets[0].Label = "Helion\u2066 64" },
		"a hidden title":    func(h *link.Hello) { h.Assets[0].Label = "Helion\u200b 64" },
		"a modality turned": func(h *link.Hello) { h.Assets[0].Modality = "\u202eTC/TP" },
	} {
		h := hostile.Hello("X")
		spoil(&h)
		if err := w.Announce(ctx, h); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	lower := &accesstest.Agents{Site: "ngh", Name: "main"}
	w.wants(w.Announce(ctx, lower.Hello("NGH-PETCT1")), session.Refused, "There is a site NGH already")
	w.must(w.Forget(ctx, "XYZ", "main"))
	if got := of("NGH") + of("XYZ"); got != before {
		t.Errorf("after XYZ left: %s", got)
	}
	if all, err := scanners(ctx, w.Access, ada, access.Which{Name: "ngh-petct1"}); err != nil || len(all) != 1 || all[0].Site != "NGH" {
		t.Errorf("%+v, %v", all, err)
	}
	// Hyphens do not move between the parts of a name.
	parted := &accesstest.Agents{Site: "XYZ-NGH", Name: "main"}
	w.must(w.Announce(ctx, parted.Hello("PETCT1")))
	w.must(w.Announce(ctx, hostile.Hello("NGH-PETCT1")))
	wide := someone("vendor", "wide", session.Engineer, "XYZ", "XYZ-NGH")
	for _, x := range []session.Target{{Site: "XYZ-NGH", Asset: "PETCT1"}, {Site: "XYZ", Asset: "NGH-PETCT1"}} {
		all, err := scanners(ctx, w.Access, wide, access.Which{Site: x.Site, Name: x.Asset})
		if err != nil || len(all) != 1 || all[0].Site != x.Site || all[0].Name != x.Asset {
			t.Errorf("%s is %+v, %v", x, all, err)
		}
	}
}

// A request, its way in and its answer read one scanner's entry, however many there are.
func TestOneScannerIsOneRead(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	places := []string{"NGH"}
	for i := range 200 {
		a := &accesstest.Agents{Site: fmt.Sprintf("S%d", i), Name: "main"}
		var names []string
		for n := range 50 {
			names = append(names, fmt.Sprintf("%s-CT%d", a.Site, n))
		}
		w.must(w.Announce(ctx, a.Hello(names...)))
		places = append(places, a.Site)
	}
	carla := someone("vendor", "carla", session.Engineer, places...)
	reads := func(what string, most int64, do func() error) {
		t.Helper()
		w.store.catalogue.Store(0)
		w.must(do())
		if n := w.store.catalogue.Load(); n > most {
			t.Errorf("%s read %d documents of the catalogue, at most %d are needed", what, n, most)
		}
	}
	reads("a request, approved", 6, func() error { w.approved(carla); return nil })
	reads("the jump host", 2, func() error { _, err := w.Route(ctx, carla.id(), "recon-ssh.ngh-petct1.ngh"); return err })
	reads("the jump host, by a short name", 2, func() error { _, err := w.Route(ctx, carla.id(), "recon-ssh.ngh-petct1"); return err })
	reads("an answer", 2, func() error { _, err := w.Access.Access(ctx, carla, recon); return err })
	reads("one scanner", 1, func() error { _, err := scanners(ctx, w.Access, carla, access.Which{Name: "NGH-PETCT1"}); return err })
	reads("one site", 50, func() error { _, err := scanners(ctx, w.Access, carla, access.Which{Site: "S7"}); return err })
	reads("one hospital's people", 2, func() error { _, err := scanners(ctx, w.Access, ben, access.Which{}); return err })
	all, err := scanners(ctx, w.Access, carla, access.Which{})
	if err != nil || len(all) != 200*50+2 {
		t.Errorf("%d scanners, %v", len(all), err)
	}
}

// However often an engineer asked, where one of their requests stands is one read, also by a
// short name of a scanner that is gone.
func TestAnEarlierRequestIsOneRead(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	gone, _ := w.submit(ada)
	_, err := w.Withdraw(ctx, ada, gone.ID)
	w.must(err)
	for i := range 300 {
		doc := accesstest.Request(ada.id(), "NGH", "NGH-CT2", w.clock())
		if i%2 == 0 { // the same scanner, and another service
			doc.Asset, doc.Services = "NGH-PETCT1", []string{"console-ssh"}
		}
		r, err := w.Submit(ctx, ada, accesstest.Bytes(doc), accesstest.Proof("ada"))
		w.must(err)
		_, err = w.Withdraw(ctx, ada, r.ID)
		w.must(err)
	}
	for _, what := range []string{"the scanner is there", "the scanner is gone"} {
		for _, of := range []session.Target{recon, recon.Short(), {Site: "ngh", Asset: "ngh-petct1", Service: "RECON-ssh"}, {Asset: "ngh-PETCT1", Service: "recon-SSH"}} {
			w.store.requests.Store(0)
			x, err := w.Access.Access(ctx, ada, of)
			if n := w.store.requests.Load(); err != nil || x.Request != gone.ID || named(x) != recon || n > 1 {
				t.Errorf("%s: %s is %+v, %v, with %d requests read", what, of, x, err, n)
			}
		}
		w.must(w.Announce(ctx, w.agent.Hello("NGH-CT2")))
	}
}

// named is what an answer is about.
func named(x access.Answer) session.Target {
	return session.Target{Site: x.Site, Asset: x.Asset, Service: x.Service}
}
