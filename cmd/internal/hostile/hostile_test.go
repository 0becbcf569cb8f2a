package hostile

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// TestHonestBrokerGetsThrough shows that the siege works: what follows is refused
// for what was done to it, not because nothing works.
func TestHonestBrokerGetsThrough(t *testing.T) {
	s := besiege(t)
	a := s.pend(s.ask(nil))
	doc := s.grantFor(a, nil)
	if v := s.deliverApproval(a, doc, s.approve(a, doc, "approver", "sallyport-console", nil)); !v.OK || !v.Admitted {
		t.Fatalf("the honest approval was not admitted: %+v", v)
	}
	if err := s.connect("NGH-PETCT1", "recon-ssh", a.key); err != nil {
		t.Fatalf("the honest engineer was not let in: %v", err)
	}
	if len(s.device.Seen()) == 0 {
		t.Fatal("the device saw nothing")
	}
}

// TestBrokerForgesRequests: a request that its engineer did not sign as it stands.
func TestBrokerForgesRequests(t *testing.T) {
	s := besiege(t)
	mallory := session.KeyLine(mustKey(t).Public().(ed25519.PublicKey))
	for name, forge := range map[string]func(asked) asked{
		"swaps the engineer's key for its own": func(a asked) asked { a.req.Key = mallory; return redo(t, a) },
		"widens the services":                  func(a asked) asked { a.req.Services = []string{"console-ssh", "recon-ssh"}; return redo(t, a) },
		"redirects to another service":         func(a asked) asked { a.req.Services = []string{"console-ssh"}; return redo(t, a) },
		"redirects to another asset": func(a asked) asked {
			a.req.Asset, a.req.Services = "NGH-MR1", []string{"mars-ssh"}
			return redo(t, a)
		},
		"prolongs the session": func(a asked) asked { a.req.MaxS *= 2; return redo(t, a) },
		"prolongs the window":  func(a asked) asked { a.req.EXP += 3600; return redo(t, a) },
		"raises the class":     func(a asked) asked { a.req.Class = session.Disruptive; return redo(t, a) },
		"adds a channel": func(a asked) asked {
			a.req.Channels = []session.Channel{session.Exec, session.FilesOut, session.Shell}
			return redo(t, a)
		},
		"changes the reason":          func(a asked) asked { a.req.Reason = "something harmless"; return redo(t, a) },
		"names another engineer":      func(a asked) asked { a.req.Eng.Sub = person("engineer2").Sub; return redo(t, a) },
		"uses another salt":           func(a asked) asked { a.proof.Salt = make([]byte, 32); return a },
		"leaves the token out":        func(a asked) asked { a.proof.Token = ""; return a },
		"signs with a key of its own": func(a asked) asked { a.proof.Token = s.signedElsewhere(t, s.vendor, a); return a },
		"signs without algorithm": func(a asked) asked {
			a.proof.Token = s.header(t, s.vendor, a, map[string]any{"alg": "none", "kid": s.vendor.KeyID()})
			return a
		},
		"signs with the public key as a secret": func(a asked) asked {
			a.proof.Token = s.header(t, s.vendor, a, map[string]any{"alg": "HS256", "kid": s.vendor.KeyID()})
			return a
		},
		"offers a token from the hospital": func(a asked) asked {
			a.proof.Token = s.mint(s.hospital, person("engineer"), "sallyport-console", nonceOf(a), nil)
			return a
		},
		"offers a token of the web client": func(a asked) asked { // the asset accepts the CLI only
			a.proof.Token = s.mint(s.vendor, person("engineer"), "sallyport-web", nonceOf(a), nil)
			return a
		},
		"offers a token minted twenty minutes ago": func(a asked) asked {
			a.proof.Token = s.mint(s.vendor, person("engineer"), "sallyport-cli", nonceOf(a), func(c map[string]any) { c["iat"] = time.Now().Add(-20 * time.Minute).Unix() })
			return a
		},
		"offers a token of somebody without the group": func(a asked) asked {
			a.proof.Token = s.mint(s.vendor, person("engineer"), "sallyport-cli", nonceOf(a), func(c map[string]any) { c["groups"] = []string{"guests"} })
			return a
		},
		"offers a token of another role": func(a asked) asked {
			var salt [32]byte
			copy(salt[:], a.proof.Salt)
			a.proof.Token = s.mint(s.vendor, person("engineer"), "sallyport-cli", grant.Nonce(grant.RoleApprove, grant.RequestHash(a.doc), [32]byte{}, salt), nil)
			return a
		},
		"adds a space to the document":    func(a asked) asked { a.doc = append([]byte(" "), a.doc...); return a },
		"adds a field to the document":    func(a asked) asked { a.doc = append(a.doc[:len(a.doc)-1:len(a.doc)-1], `,"x":1}`...); return a },
		"repeats a field of the document": func(a asked) asked { a.doc = append(a.doc[:len(a.doc)-1:len(a.doc)-1], `,"maxs":86400}`...); return a },
	} {
		t.Run(name, func(t *testing.T) {
			a := forge(s.ask(nil))
			refused(t, s.deliverRequest(a))
			if err := s.connect("NGH-PETCT1", "recon-ssh", a.key); err == nil {
				t.Error("and the engineer's key opened something")
			}
		})
	}
	s.untouched(t)
}

// TestBrokerForgesApprovals: the engineer's request is honest, the yes is not.
func TestBrokerForgesApprovals(t *testing.T) {
	s := besiege(t)
	first := s.pend(s.ask(nil))
	firstDoc := s.grantFor(first, nil)
	firstYes := s.approve(first, firstDoc, "approver", "sallyport-console", nil)
	honest := func(a asked, doc []byte) grant.Proof {
		return s.approve(a, doc, "approver", "sallyport-console", nil)
	}
	bent := func(bend func(*grant.Grant)) func(asked) ([]byte, grant.Proof) {
		return func(a asked) ([]byte, grant.Proof) { doc := s.grantFor(a, bend); return doc, honest(a, doc) }
	}
	claims := func(who, client string, bend func(map[string]any)) func(asked) ([]byte, grant.Proof) {
		return func(a asked) ([]byte, grant.Proof) {
			doc := s.grantFor(a, nil)
			return doc, s.approve(a, doc, who, client, bend)
		}
	}
	for name, forge := range map[string]func(asked) ([]byte, grant.Proof){
		// An approver who was shown something else may have signed these honestly: they
		// are refused all the same, because they go beyond the request.
		"widens the services":   bent(func(g *grant.Grant) { g.Services = []string{"console-ssh", "recon-ssh"} }),
		"redirects the service": bent(func(g *grant.Grant) { g.Services = []string{"console-ssh"} }),
		"redirects the asset":   bent(func(g *grant.Grant) { g.Asset, g.Services = "NGH-MR1", []string{"mars-ssh"} }),
		"redirects the agent":   bent(func(g *grant.Grant) { g.Agent = session.Fingerprint(mustKey(t).Public().(ed25519.PublicKey)) }),
		"redirects the site":    bent(func(g *grant.Grant) { g.Site = "SVC" }),
		"prolongs the session":  bent(func(g *grant.Grant) { g.MaxS++ }),
		"prolongs the window":   bent(func(g *grant.Grant) { g.EXP++ }),
		"opens earlier":         bent(func(g *grant.Grant) { g.NBF-- }),
		"raises the class":      bent(func(g *grant.Grant) { g.Class = session.Disruptive }),
		"adds a channel":        bent(func(g *grant.Grant) { g.Channels = []session.Channel{session.Exec, session.FilesOut, session.Shell} }),
		"names another request": bent(func(g *grant.Grant) { g.Req = hexOf([32]byte{1}) }),

		"changes the grant after the yes": func(a asked) ([]byte, grant.Proof) {
			yes := honest(a, s.grantFor(a, func(g *grant.Grant) { g.MaxS = 60 }))
			return s.grantFor(a, nil), yes
		},
		"replays the yes to another request": func(asked) ([]byte, grant.Proof) { return s.grantFor(first, nil), firstYes },
		"replays grant and yes of another":   func(asked) ([]byte, grant.Proof) { return firstDoc, firstYes },
		"lets the engineer approve": func(a asked) ([]byte, grant.Proof) {
			doc, salt := s.grantFor(a, nil), grant.NewSalt()
			return doc, grant.Proof{Token: s.mint(s.vendor, person("engineer"), "sallyport-cli", grant.ApproveNonce(doc, a.proof.Token, salt), nil), Salt: salt[:]}
		},
		"offers the request's own token":   func(a asked) ([]byte, grant.Proof) { return s.grantFor(a, nil), a.proof },
		"uses a yes given to a web page":   claims("approver", "sallyport-web", nil),
		"uses the hospital's login client": claims("approver", "sallyport-cli", nil),
		"lets an auditor approve":          claims("auditor", "sallyport-console", nil),
		"uses an old login": claims("approver", "sallyport-console", func(c map[string]any) {
			c["auth_time"] = time.Now().Add(-2 * time.Minute).Unix()
		}),
		"uses a login of unknown age": claims("approver", "sallyport-console", func(c map[string]any) { delete(c, "auth_time") }),
		"uses an old yes": claims("approver", "sallyport-console", func(c map[string]any) {
			old := time.Now().Add(-20 * time.Minute).Unix()
			c["iat"], c["auth_time"] = old, old
		}),
		"uses two audiences": claims("approver", "sallyport-console", func(c map[string]any) { c["aud"] = []string{"sallyport-console", "other"} }),
		"signs with a key of its own": func(a asked) ([]byte, grant.Proof) {
			doc, salt := s.grantFor(a, nil), grant.NewSalt()
			evil := s.impostor(t, s.hospital)
			token, err := evil.Sign(map[string]any{"alg": "RS256", "kid": s.hospital.KeyID(), "typ": "JWT"}, s.hospital.Claims(person("approver"), "sallyport-console", grant.ApproveNonce(doc, a.proof.Token, salt)))
			must(t, err)
			return doc, grant.Proof{Token: token, Salt: salt[:]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.pend(s.ask(nil))
			defer s.withdraw(a)
			doc, proof := forge(a)
			refused(t, s.deliverApproval(a, doc, proof))
			if err := s.connect("NGH-PETCT1", "recon-ssh", a.key); err == nil {
				t.Error("and the engineer's key opened something")
			}
		})
	}
	s.untouched(t)
}

// TestBrokerApprovesUnasked: an approval of a request that the agent never took.
func TestBrokerApprovesUnasked(t *testing.T) {
	s := besiege(t)
	a := s.ask(nil)
	doc := s.grantFor(a, nil)
	refused(t, s.deliverApproval(a, doc, s.approve(a, doc, "approver", "sallyport-console", nil)))
	s.untouched(t)
}

// TestOneApproverIsNotTwo: the same person's yes counts once, however often it comes.
func TestOneApproverIsNotTwo(t *testing.T) {
	s := besiege(t)
	a := s.pend(s.ask(func(r *grant.Request) { r.Asset, r.Services = "NGH-MR1", []string{"mars-ssh"} }))
	doc := s.grantFor(a, nil)
	yes := s.approve(a, doc, "approver", "sallyport-console", nil)
	if v := s.deliverApproval(a, doc, yes); !v.OK || v.Admitted {
		t.Fatalf("the first of two: %+v", v)
	}
	if v := s.deliverApproval(a, doc, yes); v.Admitted {
		t.Fatalf("the same token twice: %+v", v)
	}
	if v := s.deliverApproval(a, doc, s.approve(a, doc, "approver", "sallyport-console", nil)); v.Admitted {
		t.Fatalf("the same person twice: %+v", v)
	}
	// A second person, but for another grant document of the same request: not a quorum either.
	other := s.grantFor(a, nil)
	if v := s.deliverApproval(a, other, s.approve(a, other, "approver2", "sallyport-console", nil)); v.Admitted {
		t.Fatalf("two people for two grants: %+v", v)
	}
	if err := s.connect("NGH-MR1", "mars-ssh", a.key); err == nil {
		t.Error("and the engineer's key opened something")
	}
	s.untouched(t)
}

// TestBrokerMisusesAGrant: everything is honest until the session opens.
func TestBrokerMisusesAGrant(t *testing.T) {
	s := besiege(t)
	a := s.pend(s.ask(nil))
	doc := s.grantFor(a, nil)
	yes := s.approve(a, doc, "approver", "sallyport-console", nil)
	if v := s.deliverApproval(a, doc, yes); !v.Admitted {
		t.Fatalf("%+v", v)
	}
	for name, try := range map[string]func() error{
		"connects with a key of its own":  func() error { return s.connect("NGH-PETCT1", "recon-ssh", mustKey(t)) },
		"leads to another service":        func() error { return s.connect("NGH-PETCT1", "console-ssh", a.key) },
		"leads to another asset":          func() error { return s.connect("NGH-MR1", "mars-ssh", a.key) },
		"leads to a service nobody knows": func() error { return s.connect("NGH-PETCT1", "3465", a.key) },
		"leads to an address":             func() error { return s.connect("127.0.0.1", "22", a.key) },
	} {
		t.Run(name, func(t *testing.T) {
			if try() == nil {
				t.Error("let in")
			}
		})
	}
	s.untouched(t)

	// A killed grant stays closed, and the same documents open nothing again.
	gid, err := grant.ParseGrant(doc)
	must(t, err)
	id, err := session.ParseText(gid.GID)
	must(t, err)
	v, err := s.broker.End(t.Context(), site, agentName, link.End{Session: id.Session(), Reason: session.KilledRemote})
	must(t, err)
	if !v.OK {
		t.Fatalf("a kill through the broker was refused: %+v", v)
	}
	refused(t, s.deliverRequest(a))
	refused(t, s.deliverApproval(a, doc, yes))
	if err := s.connect("NGH-PETCT1", "recon-ssh", a.key); err == nil {
		t.Error("a killed grant opened")
	}
	s.untouched(t)
}

// TestBrokerCannotEndAsSomebodyElse: a broker ends in its own name only.
func TestBrokerCannotEndAsSomebodyElse(t *testing.T) {
	s := besiege(t)
	for _, reason := range []session.EndReason{session.KilledLocal, session.OutOfTime, "", "made up"} {
		v, err := s.broker.End(t.Context(), site, agentName, link.End{Session: session.NewID().Session(), Reason: reason})
		must(t, err)
		refused(t, v)
	}
}

func (s *siege) untouched(t *testing.T) {
	t.Helper()
	if n := s.device.BytesIn(); n != 0 {
		t.Errorf("%d bytes reached the device", n)
	}
	if seen := s.device.Seen(); len(seen) != 0 {
		t.Errorf("the device saw %v", seen)
	}
}

// refused demands a no with a sentence for people.
func refused(t *testing.T, v link.Verdict) {
	t.Helper()
	if v.OK || v.Admitted {
		t.Fatalf("the agent said yes: %+v", v)
	}
	if v.Kind == session.Internal || v.Message == "" {
		t.Errorf("the agent did not say why: %+v", v)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

// redo encodes a bent request; the token still covers the old one.
func redo(t *testing.T, a asked) asked {
	t.Helper()
	doc, err := a.req.Marshal()
	must(t, err)
	a.doc = doc
	return a
}

func nonceOf(a asked) string {
	var salt [32]byte
	copy(salt[:], a.proof.Salt)
	return grant.RequestNonce(a.doc, salt)
}

// impostor is another provider that claims to be p.
func (s *siege) impostor(t *testing.T, p *devidp.Provider) *devidp.Provider {
	t.Helper()
	iss := p.Claims(person("engineer"), "x", "")["iss"].(string)
	evil, err := devidp.New(devidp.Config{Issuer: iss, Name: "impostor", People: devidp.People(devidp.Vendor), Clients: []devidp.Client{{ID: "sallyport-cli", Native: true}}})
	must(t, err)
	return evil
}

func (s *siege) signedElsewhere(t *testing.T, p *devidp.Provider, a asked) string {
	t.Helper()
	token, err := s.impostor(t, p).Sign(map[string]any{"alg": "RS256", "kid": p.KeyID(), "typ": "JWT"}, p.Claims(person("engineer"), "sallyport-cli", nonceOf(a)))
	must(t, err)
	return token
}

func (s *siege) header(t *testing.T, p *devidp.Provider, a asked, header map[string]any) string {
	t.Helper()
	token, err := p.Sign(header, p.Claims(person("engineer"), "sallyport-cli", nonceOf(a)))
	must(t, err)
	return token
}
