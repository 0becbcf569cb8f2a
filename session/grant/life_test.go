package grant_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// grantOf is a grant for a request, approved by anna.
func (w *world) grantOf(change func(*grant.Request)) grant.Verified {
	w.t.Helper()
	r := w.request()
	if change != nil {
		change(&r)
	}
	doc := marshal(w.t, r)
	_, receipt, err := w.verifier.CheckRequest(w.t.Context(), doc, w.ask(doc, nil), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	g := marshal(w.t, w.grantFor(doc))
	v, err := w.verifier.Verify(doc, receipt, g, []grant.Receipt{w.approved(doc, receipt, g, anna)}, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) activation(g grant.Verified, key string, who person, changes map[string]any) grant.Proof {
	salt := grant.NewSalt()
	nonce := grant.ActivateNonce(g.GrantBytes(), key, salt)
	return grant.Proof{Token: w.token(w.vendor, "sallyport-cli", nonce, who, changes), Salt: salt[:]}
}

// A key joins a grant by its own engineer's fresh token over grant and key, or not at all.
func TestActivationRefused(t *testing.T) {
	key, salt := keyLine(2), grant.NewSalt()
	with := func(w *world, nonce string, who person) grant.Proof {
		return grant.Proof{Token: w.token(w.vendor, "sallyport-cli", nonce, who, nil), Salt: salt[:]}
	}
	rows := []struct {
		name  string
		proof func(w *world, g grant.Verified) grant.Proof
		kind  session.Kind
	}{
		{"no token", func(*world, grant.Verified) grant.Proof { return grant.Proof{Salt: salt[:]} }, session.Invalid},
		{"another key", func(w *world, g grant.Verified) grant.Proof { return w.activation(g, keyLine(3), eva, nil) }, session.Invalid},
		{"another grant", func(w *world, g grant.Verified) grant.Proof {
			return w.activation(w.grantOf(nil), key, eva, nil)
		}, session.Invalid},
		{"the request's own token", func(w *world, g grant.Verified) grant.Proof { return g.Engineer().Proof }, session.Invalid},
		{"an approver's role", func(w *world, g grant.Verified) grant.Proof {
			return with(w, grant.Nonce(grant.RoleApprove, grant.GrantHash(g.GrantBytes()), grant.KeyHash(key), salt), eva)
		}, session.Invalid},
		{"a login", func(w *world, _ grant.Verified) grant.Proof {
			return with(w, grant.LoginNonce("https://broker.example", key, salt), eva)
		}, session.Invalid},
		{"another engineer", func(w *world, g grant.Verified) grant.Proof {
			return w.activation(g, key, person{"ed", session.GroupEngineers}, nil)
		}, session.Denied},
		{"an engineer who left the group", func(w *world, g grant.Verified) grant.Proof {
			return w.activation(g, key, eva, map[string]any{"groups": []string{"alumni"}})
		}, session.Denied},
		{"sixteen minutes old", func(w *world, g grant.Verified) grant.Proof {
			return w.activation(g, key, eva, map[string]any{"iat": w.now.Unix() - 960})
		}, session.Expired},
		{"the hospital's issuer", func(w *world, g grant.Verified) grant.Proof {
			nonce := grant.ActivateNonce(g.GrantBytes(), key, salt)
			return grant.Proof{Token: w.token(w.hospital, "sallyport-cli", nonce, eva, nil), Salt: salt[:]}
		}, session.Invalid},
		{"a browser, where the command line is asked for", func(w *world, g grant.Verified) grant.Proof {
			nonce := grant.ActivateNonce(g.GrantBytes(), key, salt)
			return grant.Proof{Token: w.token(w.vendor, "sallyport-web", nonce, eva, nil), Salt: salt[:]}
		}, session.Refused},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			g := w.grantOf(nil)
			_, err := w.verifier.CheckActivation(t.Context(), g, key, row.proof(w, g), w.now)
			refusedAs(t, err, row.kind)
		})
	}
	w := newWorld(t)
	g := w.grantOf(nil)
	for _, bad := range []string{"", "ssh-rsa AAAA", key + " comment", key + "\n"} {
		_, err := w.verifier.CheckActivation(t.Context(), g, bad, w.activation(g, bad, eva, nil), w.now)
		refusedAs(t, err, session.Invalid)
	}
	_, err := w.verifier.CheckActivation(t.Context(), grant.Verified{}, key, w.activation(g, key, eva, nil), w.now)
	refusedAs(t, err, session.Denied)
}

func TestActivation(t *testing.T) {
	w := newWorld(t)
	g := w.grantOf(func(r *grant.Request) { r.Key, r.NBF, r.EXP = "", r.NBF+3*86400, r.EXP+3*86400 })
	w.now = w.now.Add(3 * 24 * time.Hour)
	key := keyLine(2)
	r, err := w.verifier.CheckActivation(t.Context(), g, key, w.activation(g, key, eva, nil), w.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.ActivatedBy(key, r); err != nil {
		t.Error(err)
	}
	refusedAs(t, g.ActivatedBy(keyLine(3), r), session.Refused)
	refusedAs(t, w.grantOf(nil).ActivatedBy(key, r), session.Refused)
	refusedAs(t, grant.Verified{}.ActivatedBy(key, r), session.Refused)
	refusedAs(t, g.ActivatedBy(key, g.Engineer()), session.Refused)
}

// A window may lie days ahead; its key joins when it begins.
func TestWindowsAhead(t *testing.T) {
	const day = 86400
	rows := []struct {
		name        string
		ahead, long int64
		key         string
		ok          bool
	}{
		{"now, with a key", 0, 3600, keyLine(1), true},
		{"now, without", 0, 3600, "", false},
		{"in a second, without", 1, 3600, "", true},
		{"in an hour, with a key", 3600, 3600, keyLine(1), true},
		{"later than that, with a key", 3601, 3600, keyLine(1), false},
		{"in 29 days, without", 29 * day, day, "", true},
		{"in 30 days and a second", 30*day + 1, day, "", false},
		{"wider than the policy", 29 * day, day + 1, "", false},
	}
	for _, row := range rows {
		w := newWorld(t)
		r := w.request()
		r.NBF, r.EXP, r.Key = w.now.Unix()+row.ahead, w.now.Unix()+row.ahead+row.long, row.key
		doc := marshal(t, r)
		_, _, err := w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now)
		if (err == nil) != row.ok {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// An extension changes the end of one session and nothing else.
func TestExtensionRefused(t *testing.T) {
	rows := []struct {
		name   string
		change func(w *world, r *grant.Request)
	}{
		{"another session", func(_ *world, r *grant.Request) { r.Parent = session.NewID().Text() }},
		{"no extension", func(_ *world, r *grant.Request) { r.Kind, r.Parent = grant.KindSession, "" }},
		{"handover", func(_ *world, r *grant.Request) { r.Kind = grant.KindHandover }},
		{"another engineer", func(_ *world, r *grant.Request) { r.Eng.Sub = "ed" }},
		{"another scanner", func(_ *world, r *grant.Request) { r.Asset, r.Services = "NGH-MR1", []string{"recon-ssh"} }},
		{"another service", func(_ *world, r *grant.Request) { r.Services = []string{"console-ssh", "recon-ssh"} }},
		{"another channel", func(_ *world, r *grant.Request) { r.Channels = []session.Channel{session.Exec, session.Shell} }},
		{"another class", func(_ *world, r *grant.Request) { r.Class = session.NonDisruptive }},
		{"wider than the window", func(_ *world, r *grant.Request) { r.NBF += 3600; r.EXP = r.NBF + 24*3600 }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			parent := w.grantOf(func(r *grant.Request) {
				r.Services, r.Class, r.Channels = []string{"recon-ssh"}, session.Observe, []session.Channel{session.Shell}
			})
			r := w.extension(parent)
			if err := w.verifier.CheckExtension(r, parent); err != nil {
				t.Fatalf("unchanged: %v", err)
			}
			row.change(w, &r)
			if w.verifier.CheckExtension(r, parent) == nil {
				t.Error("accepted")
			}
		})
	}
	w := newWorld(t)
	refusedAs(t, grant.Verified{}.Extends(w.extension(w.grantOf(nil))), session.Refused)
}

func (w *world) extension(parent grant.Verified) grant.Request {
	r, p := w.request(), parent.Grant()
	r.Kind, r.Parent, r.Key = grant.KindExtension, p.GID, ""
	r.Services, r.Class, r.Channels, r.MaxS = p.Services, p.Class, p.Channels, p.MaxS+600
	return r
}

// Documents of an extension pass the same gates as any other's; on their own terms
// they bring no key and begin now.
func TestExtensionDocuments(t *testing.T) {
	w := newWorld(t)
	parent := w.grantOf(nil)
	for name, change := range map[string]func(*grant.Request){
		"with a key":     func(r *grant.Request) { r.Key = keyLine(4) },
		"for later":      func(r *grant.Request) { r.NBF += 3600 },
		"too long":       func(r *grant.Request) { r.MaxS = 8*3600 + 1 },
		"handover":       func(r *grant.Request) { r.Kind = grant.KindHandover },
		"outside policy": func(r *grant.Request) { r.Channels = []session.Channel{session.FilesIn} },
	} {
		r := w.extension(parent)
		change(&r)
		doc := marshal(t, r)
		if _, _, err := w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	doc := marshal(t, w.extension(parent))
	_, receipt, err := w.verifier.CheckRequest(t.Context(), doc, w.ask(doc, nil), w.now)
	if err != nil {
		t.Fatal(err)
	}
	g := marshal(t, w.grantFor(doc))
	if _, err := w.verifier.Verify(doc, receipt, g, []grant.Receipt{w.approved(doc, receipt, g, anna)}, w.now); err != nil {
		t.Error(err)
	}
}

// A quorum asks for people of groups; one person fills one place.
func TestQuorum(t *testing.T) {
	w := newWorld(t, asset(func(p *session.Policy) {
		p.Quorum = []session.Quorum{{Group: "it", Count: 1}, {Group: "modality", Count: 1}}
	}))
	if w.verifier.Needed("NGH-PETCT1") != 2 {
		t.Fatal("the sum is not what is needed")
	}
	doc, engineer := w.asked()
	g := marshal(t, w.grantFor(doc))
	in := func(name string, groups ...string) (grant.Receipt, error) {
		p := w.approve(g, engineer, person{name, ""}, map[string]any{"groups": append(groups, session.GroupApprovers)})
		_, r, err := w.verifier.CheckApproval(t.Context(), doc, engineer, g, p, w.now)
		return r, err
	}
	_, err := in("anna")
	refusedAs(t, err, session.Denied)
	take := func(name string, groups ...string) grant.Receipt {
		r, err := in(name, groups...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	it1, it2, both, mod := take("i1", "it"), take("i2", "it"), take("b", "modality", "it"), take("m", "modality")
	rows := []struct {
		who     []grant.Receipt
		covered int
	}{
		{nil, 0}, {[]grant.Receipt{it1}, 1}, {[]grant.Receipt{both}, 1}, {[]grant.Receipt{it1, it2}, 1},
		{[]grant.Receipt{it1, mod}, 2}, {[]grant.Receipt{mod, it1}, 2}, {[]grant.Receipt{it1, both}, 2},
		{[]grant.Receipt{both, it1}, 2}, {[]grant.Receipt{both, mod}, 2}, {[]grant.Receipt{both, it1, mod}, 2},
	}
	for i, row := range rows {
		if n := w.verifier.Covered("NGH-PETCT1", row.who); n != row.covered {
			t.Errorf("row %d: %d places filled, want %d", i, n, row.covered)
		}
		_, err := w.verifier.Verify(doc, engineer, g, row.who, w.now)
		if (err == nil) != (row.covered == 2) || err != nil && !errors.Is(err, grant.ErrMoreApprovals) {
			t.Errorf("row %d: %v", i, err)
		}
	}
	_, err = w.verifier.Verify(doc, engineer, g, []grant.Receipt{both, both}, w.now)
	refusedAs(t, err, session.Refused)
	if w.verifier.Helps("NGH-PETCT1", []grant.Receipt{it1}, it2) || !w.verifier.Helps("NGH-PETCT1", []grant.Receipt{both}, it1) {
		t.Error("wrong about who helps")
	}
}

func TestQuorumMisconfigured(t *testing.T) {
	w := newWorld(t)
	for _, p := range []session.Policy{
		{Quorum: []session.Quorum{{Group: "", Count: 1}}},
		{Quorum: []session.Quorum{{Group: "it", Count: 0}}},
		{Quorum: []session.Quorum{{Group: "it", Count: 1}, {Group: "it", Count: 1}}},
		{Quorum: []session.Quorum{{Group: "it", Count: 17}}},
		{Quorum: []session.Quorum{{Group: "it", Count: 2}}, Approvals: 1},
		{Idle: -1}, {Sessions: -1},
	} {
		policy := w.policy
		policy.Assets = map[string]session.Asset{"A": {Name: "A", Policy: p}}
		if _, err := grant.NewVerifier(policy, w.keys); err == nil {
			t.Errorf("%+v accepted", p)
		}
	}
}
