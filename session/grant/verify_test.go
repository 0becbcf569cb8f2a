package grant_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
)

func TestOneApprovalOpensTheDoor(t *testing.T) {
	for name, w := range map[string]*world{"two issuers": newWorld(t), "one issuer": newWorld(t, oneIssuer)} {
		t.Run(name, func(t *testing.T) {
			doc, engineer := w.asked()
			if engineer.Person.Sub != "eva" || engineer.Client != session.CLI || !engineer.Received.Equal(w.now) || engineer.KeyID != "k1" || len(engineer.Key) == 0 {
				t.Errorf("receipt %+v", engineer)
			}
			grantDoc := marshal(t, w.grantFor(doc))
			w.now = w.now.Add(3 * time.Hour) // nobody loses time to a slow approver
			approval := w.approved(doc, engineer, grantDoc, anna)
			v, err := w.verifier.Verify(doc, engineer, grantDoc, []grant.Receipt{approval}, w.now)
			if err != nil || !v.Valid() {
				t.Fatal(err)
			}
			if string(v.RequestBytes()) != string(doc) || string(v.GrantBytes()) != string(grantDoc) ||
				v.Request().Eng.Sub != "eva" || v.Grant().Asset != "NGH-PETCT1" ||
				v.Engineer().Person.Sub != "eva" || len(v.Approvers()) != 1 || v.Approvers()[0].Client != session.Console {
				t.Errorf("verified %+v", v)
			}
			if !v.Covers("NGH-PETCT1", "recon-ssh") || v.Covers("NGH-MR1", "recon-ssh") || v.Covers("NGH-PETCT1", "vnc") ||
				!v.Allows(session.Shell) || v.Allows(session.FilesIn) {
				t.Error("covers or allows something else")
			}
			if _, err := grant.Recall(doc, engineer, grantDoc, []grant.Receipt{approval}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNobodyChangesAVerified(t *testing.T) {
	w := newWorld(t)
	v := w.verified()
	v.Grant().Services[0], v.Request().Channels[0], v.GrantBytes()[0] = "vnc", "control", 'x'
	v.Approvers()[0].Proof.Salt[0]++
	v.Engineer().Key[0] = 'x'
	if v.Covers("NGH-PETCT1", "vnc") || v.Request().Channels[0] == "control" || v.GrantBytes()[0] == 'x' || v.Engineer().Key[0] == 'x' {
		t.Error("a caller's change came through")
	}
	if (grant.Verified{}).Valid() || (grant.Verified{}).Covers("", "") || (grant.Verified{}).Allows("") {
		t.Error("the zero Verified opens something")
	}
}

func (w *world) verified() grant.Verified {
	w.t.Helper()
	doc, engineer := w.asked()
	grantDoc := marshal(w.t, w.grantFor(doc))
	v, err := w.verifier.Verify(doc, engineer, grantDoc, []grant.Receipt{w.approved(doc, engineer, grantDoc, anna)}, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func TestRequestsThatPolicyRefuses(t *testing.T) {
	rows := []struct {
		name   string
		change func(*world, *grant.Request)
		kind   session.Kind
	}{
		{"other site", func(_ *world, r *grant.Request) { r.Site = "StMary" }, session.Refused},
		{"unknown asset", func(_ *world, r *grant.Request) { r.Asset = "NGH-CT9" }, session.Refused},
		{"asset in other case", func(_ *world, r *grant.Request) { r.Asset = "ngh-petct1" }, session.Refused},
		{"unknown service", func(_ *world, r *grant.Request) { r.Services = []string{"recon-ssh", "vnc"} }, session.Refused},
		{"class beyond a service's", func(_ *world, r *grant.Request) { r.Class = session.Disruptive }, session.Refused},
		{"class beyond another asset's", func(_ *world, r *grant.Request) { r.Asset, r.Services = "NGH-MR1", []string{"recon-ssh"} }, session.Refused},
		{"channel not allowed", func(_ *world, r *grant.Request) { r.Channels = []session.Channel{"exec", "files-in"} }, session.Refused},
		{"no channel", func(_ *world, r *grant.Request) { r.Channels = []session.Channel{} }, session.Refused},
		{"session longer than 8 h", func(_ *world, r *grant.Request) { r.MaxS = 8*3600 + 1 }, session.Refused},
		{"window wider than 24 h", func(_ *world, r *grant.Request) { r.EXP = r.NBF + 24*3600 + 1 }, session.Refused},
		{"window of 8000 years", func(_ *world, r *grant.Request) { r.NBF, r.EXP = 0, 253402300799 }, session.Refused},
		{"already over", func(w *world, r *grant.Request) { r.NBF, r.EXP = w.now.Unix()-60, w.now.Unix() }, session.Expired},
		{"31 days ahead", func(w *world, r *grant.Request) { r.NBF += 31 * 24 * 3600; r.EXP += 31 * 24 * 3600 }, session.Refused},
		{"more than an hour ahead", func(w *world, r *grant.Request) { r.NBF += 3601 }, session.Refused},
		{"extension", func(_ *world, r *grant.Request) { r.Kind, r.Parent = "extension", session.NewID().Text() }, session.Refused},
		{"handover", func(_ *world, r *grant.Request) { r.Kind, r.Parent = "handover", session.NewID().Text() }, session.Refused},
		{"engineer of the hospital's issuer", func(w *world, r *grant.Request) { r.Eng.Iss = w.hospital }, session.Denied},
		{"engineer of an unknown issuer", func(_ *world, r *grant.Request) { r.Eng.Iss = "https://evil.example" }, session.Denied},
		{"issuer with a slash", func(_ *world, r *grant.Request) { r.Eng.Iss += "/" }, session.Denied},
		{"another engineer than the token's", func(_ *world, r *grant.Request) { r.Eng.Sub = "egon" }, session.Denied},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.request()
			row.change(w, &r)
			doc := marshal(t, r)
			got, receipt, err := w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now)
			refusedAs(t, err, row.kind)
			if got.RID != "" || receipt.Role != "" {
				t.Error("something came back with the refusal")
			}
		})
	}
	// What is just within the policy passes.
	w := newWorld(t)
	r := w.request()
	r.NBF, r.EXP, r.MaxS = w.now.Unix()+3600, w.now.Unix()+3600+24*3600, 8*3600
	doc := marshal(t, r)
	if _, _, err := w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now); err != nil {
		t.Error(err)
	}
}

func TestEngineerTokensThatAreRefused(t *testing.T) {
	salt := grant.NewSalt()
	// made is a token for this request but for one thing.
	made := func(w *world, doc []byte, iss, aud string, who person, changes map[string]any) grant.Proof {
		return grant.Proof{Token: w.token(iss, aud, grant.RequestNonce(doc, salt), who, changes), Salt: salt[:]}
	}
	rows := []struct {
		name  string
		proof func(w *world, doc []byte) grant.Proof
		kind  session.Kind
	}{
		{"no token", func(w *world, doc []byte) grant.Proof { return grant.Proof{Salt: salt[:]} }, session.Invalid},
		{"no salt", func(w *world, doc []byte) grant.Proof { return grant.Proof{Token: w.ask(doc, nil).Token} }, session.Invalid},
		{"salt of 31 bytes", func(w *world, doc []byte) grant.Proof {
			p := w.ask(doc, nil)
			p.Salt = p.Salt[:31]
			return p
		}, session.Invalid},
		{"other salt", func(w *world, doc []byte) grant.Proof {
			p := w.ask(doc, nil)
			p.Salt[0]++
			return p
		}, session.Invalid},
		{"token for another request", func(w *world, doc []byte) grant.Proof { return w.ask(marshal(t, w.request()), nil) }, session.Invalid},
		{"token for an approval", func(w *world, doc []byte) grant.Proof {
			nonce := grant.Nonce(grant.RoleApprove, grant.RequestHash(doc), [32]byte{}, salt)
			return grant.Proof{Token: w.token(w.vendor, "sallyport-cli", nonce, eva, nil), Salt: salt[:]}
		}, session.Invalid},
		{"login token", func(w *world, doc []byte) grant.Proof {
			nonce := grant.LoginNonce("https://broker.example", keyLine(1), salt)
			return grant.Proof{Token: w.token(w.vendor, "sallyport-cli", nonce, eva, nil), Salt: salt[:]}
		}, session.Invalid},
		{"the hospital's issuer", func(w *world, doc []byte) grant.Proof {
			return made(w, doc, w.hospital, "sallyport-cli", eva, nil)
		}, session.Invalid},
		{"a mail program's token", func(w *world, doc []byte) grant.Proof { return made(w, doc, w.vendor, "mail", eva, nil) }, session.Invalid},
		{"signed in by the web", func(w *world, doc []byte) grant.Proof {
			return made(w, doc, w.vendor, "sallyport-web", eva, nil)
		}, session.Refused},
		{"not in the group", func(w *world, doc []byte) grant.Proof { return w.ask(doc, map[string]any{"groups": []string{"sales"}}) }, session.Denied},
		{"no groups", func(w *world, doc []byte) grant.Proof { return w.ask(doc, map[string]any{"groups": nil}) }, session.Denied},
		{"group in other case", func(w *world, doc []byte) grant.Proof { return w.ask(doc, map[string]any{"groups": "Field-Service"}) }, session.Denied},
		{"too many groups", func(w *world, doc []byte) grant.Proof {
			return w.ask(doc, map[string]any{"groups": nil, "hasgroups": true})
		}, session.Denied},
		{"too many groups, and another role", func(w *world, doc []byte) grant.Proof {
			return w.ask(doc, map[string]any{"groups": nil, "hasgroups": true, "roles": "auditors"})
		}, session.Denied},
		{"sixteen minutes old", func(w *world, doc []byte) grant.Proof {
			return w.ask(doc, map[string]any{"iat": w.now.Unix() - 960})
		}, session.Expired},
		{"from the future", func(w *world, doc []byte) grant.Proof {
			return w.ask(doc, map[string]any{"iat": w.now.Unix() + 180})
		}, session.Refused},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			doc := marshal(t, w.request())
			_, receipt, err := w.verifier.CheckRequest(t.Context(), doc, row.proof(w, doc), w.now)
			refusedAs(t, err, row.kind)
			if receipt.Role != "" {
				t.Error("a receipt for a refused token")
			}
		})
	}
	t.Run("the web where it is accepted", func(t *testing.T) {
		w := newWorld(t, asset(func(p *session.Policy) { p.Accept.Engineer = []session.ClientClass{"web"} }))
		doc := marshal(t, w.request())
		_, r, err := w.verifier.CheckRequest(t.Context(), doc, made(w, doc, w.vendor, "sallyport-web", eva, nil), w.now)
		if err != nil || r.Client != session.Web {
			t.Errorf("%s, %v", r.Client, err)
		}
		_, _, err = w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now)
		refusedAs(t, err, session.Refused)
	})
}

func TestGrantsThatAreRefused(t *testing.T) {
	rows := map[string]func(w *world, g *grant.Grant){
		"other request":        func(_ *world, g *grant.Grant) { g.Req = wrongHash() },
		"other site":           func(_ *world, g *grant.Grant) { g.Site = "StMary" },
		"other agent":          func(_ *world, g *grant.Grant) { g.Agent = session.Fingerprint(make(ed25519.PublicKey, 32)) },
		"other asset":          func(_ *world, g *grant.Grant) { g.Asset = "NGH-MR1" },
		"one more service":     func(_ *world, g *grant.Grant) { g.Services = []string{"console-ssh", "recon-ssh", "vnc"} },
		"stronger class":       func(_ *world, g *grant.Grant) { g.Class = session.Disruptive },
		"one more channel":     func(_ *world, g *grant.Grant) { g.Channels = []session.Channel{"exec", "files-out", "shell"} },
		"no channel":           func(_ *world, g *grant.Grant) { g.Channels = []session.Channel{} },
		"earlier beginning":    func(_ *world, g *grant.Grant) { g.NBF-- },
		"later end":            func(_ *world, g *grant.Grant) { g.EXP++ },
		"longer session":       func(_ *world, g *grant.Grant) { g.MaxS++ },
		"consent asked for":    func(_ *world, g *grant.Grant) { g.Obl = []string{"consent", "record"} },
		"files to be held":     func(_ *world, g *grant.Grant) { g.Obl = []string{"hold-files", "record"} },
		"view only":            func(_ *world, g *grant.Grant) { g.Obl = []string{"record", "view-only"} },
		"everything, narrower": nil, // the one that passes
	}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, asset(func(p *session.Policy) { p.Channels = session.SSH.Channels() }))
			doc, engineer := w.asked()
			g := w.grantFor(doc)
			if change == nil {
				g.Services, g.Class, g.Channels = []string{"recon-ssh"}, session.Observe, []session.Channel{"shell"}
				g.NBF, g.EXP, g.MaxS = g.NBF+1, g.EXP-1, 60
				w.approved(doc, engineer, marshal(t, g), anna)
				return
			}
			change(w, &g)
			grantDoc := marshal(t, g)
			_, _, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, w.approve(grantDoc, engineer, anna, nil), w.now)
			refusedAs(t, err, session.Refused)
			_, err = w.verifier.Verify(doc, engineer, grantDoc, nil, w.now)
			refusedAs(t, err, session.Refused)
			if errors.Is(err, grant.ErrMoreApprovals) {
				t.Error("only the count was judged")
			}
		})
	}
	t.Run("over", func(t *testing.T) {
		w := newWorld(t)
		doc, engineer := w.asked()
		g := w.grantFor(doc)
		g.EXP = g.NBF + 60
		grantDoc := marshal(t, g)
		w.now = w.now.Add(time.Minute)
		_, _, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, w.approve(grantDoc, engineer, anna, nil), w.now)
		refusedAs(t, err, session.Expired)
	})
	t.Run("not a document", func(t *testing.T) {
		w := newWorld(t)
		doc, engineer := w.asked()
		for _, bad := range [][]byte{nil, doc, []byte("{}")} {
			_, _, err := w.verifier.CheckApproval(t.Context(), doc, engineer, bad, w.approve(bad, engineer, anna, nil), w.now)
			refusedAs(t, err, session.Invalid)
		}
	})
}

// Within alone, for those who have no policy.
func TestWithin(t *testing.T) {
	r, _ := grant.ParseRequest([]byte(requestGolden))
	g, _ := grant.ParseGrant([]byte(grantGolden))
	if err := grant.Within(g, r); err != nil {
		t.Fatal(err)
	}
	for name, widen := range map[string]func(*grant.Grant){
		"site":     func(g *grant.Grant) { g.Site = "StMary" },
		"asset":    func(g *grant.Grant) { g.Asset = "NGH-MR1" },
		"services": func(g *grant.Grant) { g.Services = []string{"console-ssh", "recon-ssh"} },
		"class":    func(g *grant.Grant) { g.Class = session.Disruptive },
		"nonsense": func(g *grant.Grant) { g.Class = "any" },
		"channels": func(g *grant.Grant) { g.Channels = []session.Channel{"files-in", "shell"} },
		"nbf":      func(g *grant.Grant) { g.NBF-- },
		"exp":      func(g *grant.Grant) { g.EXP++ },
		"maxs":     func(g *grant.Grant) { g.MaxS = 1801 },
	} {
		wide := g
		widen(&wide)
		if err := grant.Within(wide, r); err == nil {
			t.Errorf("wider %s passed", name)
		} else {
			refusedAs(t, err, session.Refused)
		}
	}
}

func TestApproverTokensThatAreRefused(t *testing.T) {
	salt := grant.NewSalt()
	made := func(w *world, nonce, iss, aud string, who person, changes map[string]any) grant.Proof {
		return grant.Proof{Token: w.token(iss, aud, nonce, who, changes), Salt: salt[:]}
	}
	changed := func(changes map[string]any) func(*world, []byte, grant.Receipt) grant.Proof {
		return func(w *world, doc []byte, e grant.Receipt) grant.Proof { return w.approve(doc, e, anna, changes) }
	}
	iat := newWorld(t).now.Unix()
	rows := []struct {
		name  string
		proof func(w *world, doc []byte, engineer grant.Receipt) grant.Proof
		kind  session.Kind
	}{
		{"another grant", func(w *world, doc []byte, e grant.Receipt) grant.Proof {
			return w.approve(marshal(t, w.grantFor(marshal(t, w.request()))), e, anna, nil)
		}, session.Invalid},
		{"another delivery of the request", func(w *world, doc []byte, e grant.Receipt) grant.Proof {
			e.Proof.Token += "x"
			return w.approve(doc, e, anna, nil)
		}, session.Invalid},
		{"the role of a request", func(w *world, doc []byte, e grant.Receipt) grant.Proof {
			return made(w, grant.Nonce(grant.RoleRequest, grant.GrantHash(doc), [32]byte{}, salt), w.hospital, "sallyport-console", anna, nil)
		}, session.Invalid},
		{"the role of an activation", func(w *world, doc []byte, e grant.Receipt) grant.Proof {
			return made(w, grant.Nonce(grant.RoleActivate, grant.GrantHash(doc), grant.KeyHash(e.Proof.Token), salt), w.hospital, "sallyport-console", anna, nil)
		}, session.Invalid},
		{"the engineer's own token", func(_ *world, _ []byte, e grant.Receipt) grant.Proof { return e.Proof }, session.Denied},
		{"the vendor's issuer", func(w *world, doc []byte, e grant.Receipt) grant.Proof {
			return made(w, grant.ApproveNonce(doc, e.Proof.Token, salt), w.vendor, "sallyport-web", anna, nil)
		}, session.Denied},
		{"an unknown issuer", changed(map[string]any{"iss": "https://evil.example"}), session.Denied},
		{"the login client", func(w *world, doc []byte, e grant.Receipt) grant.Proof {
			return made(w, grant.ApproveNonce(doc, e.Proof.Token, salt), w.hospital, "sallyport-cli", anna, nil)
		}, session.Refused},
		{"the web page", func(w *world, doc []byte, e grant.Receipt) grant.Proof {
			return made(w, grant.ApproveNonce(doc, e.Proof.Token, salt), w.hospital, "sallyport-web", anna, nil)
		}, session.Refused},
		{"another application", changed(map[string]any{"aud": "wiki"}), session.Invalid},
		{"two applications", changed(map[string]any{"aud": []string{"sallyport-console", "wiki"}}), session.Invalid},
		{"not an approver", changed(map[string]any{"groups": []string{"auditors", "field-service"}}), session.Denied},
		{"no groups", changed(map[string]any{"groups": nil}), session.Denied},
		{"too many groups", changed(map[string]any{"hasgroups": true, "groups": nil}), session.Denied},
		{"too many groups, others sent", changed(map[string]any{"hasgroups": true, "roles": "auditors", "groups": nil}), session.Denied},
		{"no auth_time", changed(map[string]any{"auth_time": nil}), session.Refused},
		{"login 91 s before", changed(map[string]any{"auth_time": iat - 91}), session.Refused},
		{"login in the future", changed(map[string]any{"auth_time": iat + 121}), session.Refused},
		{"login 91 s before, dated back", changed(map[string]any{"auth_time": iat - 91, "iat": iat - 391}), session.Refused},
		{"re-issued by a refresh token", changed(map[string]any{"auth_time": iat - 3600}), session.Refused},
		{"minted 16 minutes ago", changed(map[string]any{"iat": iat - 960, "auth_time": iat - 961}), session.Expired},
		{"minted in the future", changed(map[string]any{"iat": iat + 180, "auth_time": iat + 179}), session.Refused},
		{"expired", changed(map[string]any{"iat": iat - 600, "auth_time": iat - 601, "exp": iat - 300}), session.Expired},
		{"not a token", func(*world, []byte, grant.Receipt) grant.Proof { return grant.Proof{Token: "a.b.c", Salt: salt[:]} }, session.Invalid},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			doc, engineer := w.asked()
			grantDoc := marshal(t, w.grantFor(doc))
			_, receipt, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, row.proof(w, grantDoc, engineer), w.now)
			refusedAs(t, err, row.kind)
			if receipt.Role != "" {
				t.Error("a receipt for a refused token")
			}
		})
	}
	t.Run("acr", func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.policy.ACR = []string{"phr"} })
		doc, engineer := w.asked()
		grantDoc := marshal(t, w.grantFor(doc))
		for acr, ok := range map[string]bool{"phr": true, "pwd": false} {
			_, _, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, w.approve(grantDoc, engineer, anna, map[string]any{"acr": acr}), w.now)
			if ok && err != nil {
				t.Error(err)
			}
			if !ok {
				refusedAs(t, err, session.Refused)
			}
		}
	})
}

// With one issuer for both sides, groups for both and clients for both, only the
// identity itself stands between an engineer and her own approval.
func TestSelfApprovalIsRefused(t *testing.T) {
	w := newWorld(t, oneIssuer)
	doc, engineer := w.asked()
	grantDoc := marshal(t, w.grantFor(doc))
	both := map[string]any{"groups": []string{"field-service", "scanner-approvers"}}
	_, _, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, w.approve(grantDoc, engineer, eva, both), w.now)
	refusedAs(t, err, session.Denied)
	if !strings.Contains(err.Error(), "their own") {
		t.Errorf("says %q", err)
	}
}

func TestCountingApprovers(t *testing.T) {
	w := newWorld(t, asset(func(p *session.Policy) { p.Approvals = 2 }))
	if w.verifier.Needed("NGH-PETCT1") != 2 || w.verifier.Needed("NGH-MR1") != 1 || w.verifier.Needed("none") != 0 {
		t.Error("needed")
	}
	doc, engineer := w.asked()
	grantDoc := marshal(t, w.grantFor(doc))
	a, again, b := w.approved(doc, engineer, grantDoc, anna), w.approved(doc, engineer, grantDoc, anna), w.approved(doc, engineer, grantDoc, bernd)
	for _, short := range [][]grant.Receipt{nil, {a}} {
		v, err := w.verifier.Verify(doc, engineer, grantDoc, short, w.now)
		refusedAs(t, err, session.Refused)
		if !errors.Is(err, grant.ErrMoreApprovals) || v.Valid() {
			t.Errorf("%v", err)
		}
	}
	_, err := w.verifier.Verify(doc, engineer, grantDoc, []grant.Receipt{a, again}, w.now)
	refusedAs(t, err, session.Refused)
	if errors.Is(err, grant.ErrMoreApprovals) {
		t.Error("the same person twice is not merely short")
	}
	if _, err := w.verifier.Verify(doc, engineer, grantDoc, []grant.Receipt{a, b}, w.now); err != nil {
		t.Error(err)
	}
}

// Receipts are plain data; what does not belong together does not become a Verified.
func TestReceiptsThatDoNotBelong(t *testing.T) {
	w := newWorld(t)
	doc, engineer := w.asked()
	grantDoc := marshal(t, w.grantFor(doc))
	a := w.approved(doc, engineer, grantDoc, anna)
	otherDoc, otherEngineer := w.asked()
	otherGrant := marshal(t, w.grantFor(otherDoc))
	other := w.approved(otherDoc, otherEngineer, otherGrant, anna)

	for name, row := range map[string]struct {
		engineer func(*grant.Receipt)
		approver func(*grant.Receipt)
	}{
		"engineer of another request":   {engineer: func(r *grant.Receipt) { *r = otherEngineer }},
		"no engineer":                   {engineer: func(r *grant.Receipt) { *r = grant.Receipt{} }},
		"engineer renamed":              {engineer: func(r *grant.Receipt) { r.Person.Sub = "egon" }},
		"engineer's role":               {engineer: func(r *grant.Receipt) { r.Role = grant.RoleLogin }},
		"engineer's subject":            {engineer: func(r *grant.Receipt) { r.Subject[0]++ }},
		"engineer's salt":               {engineer: func(r *grant.Receipt) { r.Proof.Salt = make([]byte, 32) }},
		"engineer never received":       {engineer: func(r *grant.Receipt) { r.Received = time.Time{} }},
		"engineer by the web":           {engineer: func(r *grant.Receipt) { r.Client = session.Web }},
		"engineer by another token":     {engineer: func(r *grant.Receipt) { r.Proof = w.ask(doc, nil) }},
		"approval of another grant":     {approver: func(r *grant.Receipt) { *r = other }},
		"the same, with a new subject":  {approver: func(r *grant.Receipt) { *r = other; r.Subject = grant.GrantHash(grantDoc) }},
		"empty approval":                {approver: func(r *grant.Receipt) { *r = grant.Receipt{} }},
		"request as an approval":        {approver: func(r *grant.Receipt) { *r = engineer }},
		"approver of the vendor":        {approver: func(r *grant.Receipt) { r.Person.Iss = w.vendor }},
		"approver by the web":           {approver: func(r *grant.Receipt) { r.Client = session.Web }},
		"approver's token is not there": {approver: func(r *grant.Receipt) { r.Proof.Token = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			e, p := engineer, a
			if row.engineer != nil {
				row.engineer(&e)
			}
			if row.approver != nil {
				row.approver(&p)
			}
			v, err := w.verifier.Verify(doc, e, grantDoc, []grant.Receipt{p}, w.now)
			refusedAs(t, err, session.Refused)
			if v.Valid() || errors.Is(err, grant.ErrMoreApprovals) {
				t.Error("accepted, or merely short")
			}
		})
	}
	if _, err := grant.Recall(doc, engineer, grantDoc, nil); err == nil {
		t.Error("recalled without approvals")
	}
	if _, err := grant.Recall(doc, engineer, grantDoc, []grant.Receipt{other}); err == nil {
		t.Error("recalled with another grant's approval")
	}
	if _, err := grant.Recall(doc, engineer, grantDoc, []grant.Receipt{a, a}); err == nil {
		t.Error("recalled with one approver twice")
	}
}

// A token for one site is worth nothing at another, even with the same issuers.
func TestOtherSiteOtherAgent(t *testing.T) {
	w := newWorld(t)
	doc, engineer := w.asked()
	grantDoc := marshal(t, w.grantFor(doc))
	a := w.approved(doc, engineer, grantDoc, anna)
	for name, change := range map[string]func(*grant.Policy){
		"site":  func(p *grant.Policy) { p.Site = "StMary" },
		"agent": func(p *grant.Policy) { p.Agent = session.Fingerprint(make(ed25519.PublicKey, 32)) },
	} {
		p := w.policy
		change(&p)
		v, err := grant.NewVerifier(p, w.keys)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(doc, engineer, grantDoc, []grant.Receipt{a}, w.now)
		refusedAs(t, err, session.Refused)
		if errors.Is(err, grant.ErrMoreApprovals) {
			t.Error(name)
		}
	}
}

func TestWrongClockStopsNewGrants(t *testing.T) {
	w := newWorld(t)
	w.skew = 45 * time.Second
	doc := marshal(t, w.request())
	_, _, err := w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now)
	refusedAs(t, err, session.Refused)
	if !strings.Contains(err.Error(), "clock") {
		t.Errorf("says %q", err)
	}
	w = newWorld(t)
	w.skew = 20 * time.Second
	w.asked()
}

func TestAgentWithoutKeysSaysSo(t *testing.T) {
	w := newWorld(t)
	w.policy.Issuers[0].JWKS = "http://127.0.0.1:1/keys"
	keys, err := idtoken.NewKeySets(w.policy.Issuers, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := grant.NewVerifier(w.policy, keys)
	if err != nil {
		t.Fatal(err)
	}
	doc := marshal(t, w.request())
	_, _, err = v.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now)
	refusedAs(t, err, session.Unreachable)
}

func TestPoliciesThatCannotBeUsed(t *testing.T) {
	w := newWorld(t)
	a := w.policy.Assets["NGH-PETCT1"]
	with := func(f func(*session.Asset)) func(*grant.Policy) {
		return func(p *grant.Policy) {
			c := a
			f(&c)
			p.Assets = map[string]session.Asset{"NGH-PETCT1": c}
		}
	}
	for name, spoil := range map[string]func(*grant.Policy){
		"site":                   func(p *grant.Policy) { p.Site = "" },
		"agent":                  func(p *grant.Policy) { p.Agent = "agent" },
		"issuer without side":    func(p *grant.Policy) { p.Issuers[0].Side = "" },
		"issuer twice":           func(p *grant.Policy) { p.Issuers = append(p.Issuers, p.Issuers[0]) },
		"issuer without keys":    func(p *grant.Policy) { p.Issuers[0].URL += "x" },
		"client class":           func(p *grant.Policy) { p.Issuers[0].Clients = map[string]session.ClientClass{"x": "any"} },
		"asset under other name": func(p *grant.Policy) { p.Assets = map[string]session.Asset{"MR1": a} },
		"assets alike but for case": func(p *grant.Policy) {
			b := a
			b.Name = "ngh-petct1"
			p.Assets = map[string]session.Asset{a.Name: a, b.Name: b}
		},
		"approvals":            with(func(a *session.Asset) { a.Policy.Approvals = -1 }),
		"longest":              with(func(a *session.Asset) { a.Policy.Longest = -1 }),
		"window":               with(func(a *session.Asset) { a.Policy.Window = time.Millisecond }),
		"channel":              with(func(a *session.Asset) { a.Policy.Channels = []session.Channel{"x11"} }),
		"engineers by console": with(func(a *session.Asset) { a.Policy.Accept.Engineer = []session.ClientClass{"console"} }),
		"approvers by cli":     with(func(a *session.Asset) { a.Policy.Accept.Approver = []session.ClientClass{"cli"} }),
		"service class": with(func(a *session.Asset) {
			a.Services = []session.Service{{Name: "x", Protocol: session.SSH, Class: "any"}}
		}),
		"service name": with(func(a *session.Asset) {
			a.Services = []session.Service{{Name: "x y", Protocol: session.SSH, Class: session.Observe}}
		}),
		"services alike": with(func(a *session.Asset) {
			a.Services = []session.Service{{Name: "x", Protocol: session.SSH, Class: session.Observe}, {Name: "X", Protocol: session.SSH, Class: session.Observe}}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			p := w.policy
			p.Issuers = w.issuers()
			spoil(&p)
			_, err := grant.NewVerifier(p, w.keys)
			refusedAs(t, err, session.Invalid)
		})
	}
}

func TestConsoleJudgesAsTheAgentDoes(t *testing.T) {
	w := newWorld(t)
	trust := session.Trust{V: 1, Site: "NGH", Agent: "ngh-1", Identity: session.KeyLine(w.identity), Issuers: w.policy.Issuers}
	console, err := grant.NewConsole(trust, w.keys)
	if err != nil {
		t.Fatal(err)
	}
	doc := marshal(t, w.request())
	proof := w.ask(doc, nil)
	minted := w.now
	w.now = w.now.Add(3 * time.Hour) // the approver was asleep
	r, receipt, err := console.CheckRequestAsMinted(t.Context(), doc, proof)
	if err != nil || r.Eng.Sub != "eva" || receipt.Client != session.CLI || !receipt.Received.Equal(minted) {
		t.Fatalf("%+v, %v", receipt, err)
	}
	// The grant that the console then makes is one that the agent takes.
	w.now = minted
	_, engineer, err := w.verifier.CheckRequest(t.Context(), doc, proof, w.now)
	if err != nil {
		t.Fatal(err)
	}
	grantDoc := marshal(t, w.grantFor(doc))
	if _, _, err := w.verifier.CheckApproval(t.Context(), doc, engineer, grantDoc, w.approve(grantDoc, receipt, anna, nil), w.now); err != nil {
		t.Fatal(err)
	}

	changed := strings.Replace(string(doc), "NGH-PETCT1", "NGH-MR1", 1)
	_, _, err = console.CheckRequestAsMinted(t.Context(), []byte(changed), proof)
	refusedAs(t, err, session.Invalid)
	_, _, err = console.CheckRequestAsMinted(t.Context(), doc[1:], proof)
	refusedAs(t, err, session.Invalid)
	_, _, err = console.CheckRequestAsMinted(t.Context(), doc, w.ask(doc, map[string]any{"sub": "egon"}))
	refusedAs(t, err, session.Denied)
	trust.Site = "StMary"
	elsewhere, err := grant.NewConsole(trust, w.keys)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = elsewhere.CheckRequestAsMinted(t.Context(), doc, proof)
	refusedAs(t, err, session.Refused)
	for _, bad := range []session.Trust{{}, {V: 2, Site: "NGH", Identity: trust.Identity}, {V: 1, Site: "NGH", Identity: "x"}} {
		_, err := grant.NewConsole(bad, w.keys)
		refusedAs(t, err, session.Invalid)
	}
}

// Recall makes a Verified out of stored data, so nobody but the ledger may call it.
func TestOnlyTheLedgerRecalls(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(body), "grant.Recall(") && !strings.HasPrefix(path, filepath.Join(root, "agent", "ledger")+string(filepath.Separator)) {
			t.Errorf("%s calls grant.Recall", path)
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Fatalf("%d files, %v", files, err)
	}
}

// Everything that the agent does for one session, with its keys at hand.
func BenchmarkFullVerification(b *testing.B) {
	w := newWorld(b)
	doc := marshal(b, w.request())
	ask := w.ask(doc, nil)
	_, engineer, err := w.verifier.CheckRequest(b.Context(), doc, ask, w.now)
	if err != nil {
		b.Fatal(err)
	}
	grantDoc := marshal(b, w.grantFor(doc))
	approve := w.approve(grantDoc, engineer, anna, nil)
	for b.Loop() {
		_, engineer, err := w.verifier.CheckRequest(b.Context(), doc, ask, w.now)
		if err != nil {
			b.Fatal(err)
		}
		_, receipt, err := w.verifier.CheckApproval(b.Context(), doc, engineer, grantDoc, approve, w.now)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.verifier.Verify(doc, engineer, grantDoc, []grant.Receipt{receipt}, w.now); err != nil {
			b.Fatal(err)
		}
	}
}
