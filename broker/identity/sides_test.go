package identity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
)

// both makes one issuer serve both sides.
func both(w *world, change ...func(*identity.Issuer, *identity.Issuer)) {
	theirs := identity.Issuer{Issuer: session.Issuer{URL: vendor, Side: session.VendorSide, Login: "sallyport-cli"}, Sites: []string{identity.AnySite}}
	ours := identity.Issuer{Issuer: session.Issuer{URL: vendor, Side: session.HospitalSide, Login: "sallyport-cli"}, Sites: []string{"NGH"}}
	for _, f := range change {
		f(&theirs, &ours)
	}
	w.cfg.Issuers = []identity.Issuer{theirs, ours}
}

// What one issuer for both sides cannot be, because nobody could say then who somebody is.
func TestEntriesOfOneIssuerThatDisagree(t *testing.T) {
	for name, change := range map[string]func(theirs, ours *identity.Issuer){
		"twice for one side":        func(_, ours *identity.Issuer) { ours.Side = session.VendorSide },
		"another claim for people":  func(_, ours *identity.Issuer) { ours.Subject = "upn" },
		"another tenant":            func(_, ours *identity.Issuer) { ours.Tenant = "t" },
		"another way there":         func(_, ours *identity.Issuer) { ours.Reach = "agent" },
		"another login client":      func(_, ours *identity.Issuer) { ours.Login = "other" },
		"a web client for one side": func(_, ours *identity.Issuer) { ours.Clients = map[string]session.ClientClass{"web": session.Web} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			both(w, change)
			if _, err := identity.New(w.cfg); err == nil || !strings.Contains(err.Error(), vendor) {
				t.Errorf("accepted: %v", err)
			}
			slices.Reverse(w.cfg.Issuers)
			if _, err := identity.New(w.cfg); err == nil {
				t.Error("accepted in the other order")
			}
		})
	}
	w := newWorld(t)
	both(w)
	w.cfg.Issuers = append(w.cfg.Issuers, w.cfg.Issuers[1])
	if _, err := identity.New(w.cfg); err == nil {
		t.Error("three entries were accepted")
	}
}

// Groups say of which side somebody is; what one side gives counts at no site of the other's.
func TestOneIssuerForBothSides(t *testing.T) {
	for name, row := range map[string]struct {
		groups []string
		sites  []string // of the vendor
		roles  []session.Role
		at     string // sites where any role counts, of NGH and SOUTH
		says   string
	}{
		"an engineer":                 {[]string{session.GroupEngineers}, []string{identity.AnySite}, []session.Role{session.Engineer}, "NGH SOUTH", ""},
		"an approver":                 {[]string{session.GroupApprovers}, []string{identity.AnySite}, []session.Role{session.Approver}, "NGH", ""},
		"an auditor":                  {[]string{session.GroupAuditors}, []string{"SOUTH"}, []session.Role{session.Auditor}, "NGH", ""},
		"both":                        {[]string{session.GroupEngineers, session.GroupApprovers}, []string{identity.AnySite}, []session.Role{session.Approver, session.Engineer}, "NGH", ""},
		"both, sites named":           {[]string{session.GroupEngineers, session.GroupApprovers}, []string{"NGH", "SOUTH"}, []session.Role{session.Approver, session.Engineer}, "NGH", ""},
		"both, and no site in common": {[]string{session.GroupEngineers, session.GroupApprovers}, []string{"SOUTH"}, nil, "", "no site in common"},
		"neither":                     {[]string{"visitors"}, []string{identity.AnySite}, nil, "", "the group " + session.GroupApprovers + " or " + session.GroupAuditors + " or " + session.GroupEngineers},
	} {
		t.Run(name, func(t *testing.T) {
			for _, order := range []string{"vendor first", "hospital first"} {
				w := newWorld(t)
				both(w, func(theirs, _ *identity.Issuer) { theirs.Sites = row.sites })
				if order == "hospital first" {
					slices.Reverse(w.cfg.Issuers)
				}
				w.reopen()
				p := somebody(vendor, "ada", w.clock(), row.groups...)
				g, err := w.Login(t.Context(), p.attempt())
				if row.says != "" {
					if err == nil || !strings.Contains(said(err), row.says) {
						t.Errorf("%s: says %v", order, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				now, err := w.Authenticate(t.Context(), g.Token)
				if err != nil {
					t.Fatal(err)
				}
				at := ""
				for _, site := range []string{"NGH", "SOUTH"} {
					if now.At(site) {
						at = strings.TrimSpace(at + " " + site)
					}
				}
				if !slices.Equal(now.Roles, row.roles) || at != row.at {
					t.Errorf("%s: %v at %q", order, now.Roles, at)
				}
			}
		})
	}
}

func said(err error) string {
	var e *session.Error
	if errors.As(err, &e) {
		return e.Message + " " + e.Next
	}
	return "nothing"
}
