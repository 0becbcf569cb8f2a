package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// What the stand-in broker does in the life of a grant.

// now is the stories' clock, the agent's in them, too. Call it with the lock held.
func (b *broker) now() time.Time {
	if b.at.IsZero() {
		return time.Now()
	}
	return b.at
}

// keyOrWindow is what the agent says about keys and windows.
func (b *broker) keyOrWindow(doc grant.Request) *refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	ahead := time.Unix(doc.NBF, 0).After(b.now().Add(time.Hour))
	switch {
	case doc.Kind == grant.KindSession && (doc.Key == "") != ahead:
		return &refusal{409, session.Refused, "A key comes with requests for now, and with no others", "Ask again."}
	case doc.Kind == grant.KindExtension && (doc.Key != "" || len(b.sessions) == 0 || doc.Ref == "" || sessionOf(doc.Parent) != b.sessions[0].ID):
		return &refusal{409, session.Refused, "That extends nothing", "Ask again."}
	case doc.EXP-doc.NBF > 24*3600:
		return &refusal{409, session.Refused, "The window is too wide", "Ask again."}
	}
	return nil
}

func (b *broker) activate(r *http.Request, _ session.Person) (any, *refusal) {
	in := read[api.Activation](r)
	b.mu.Lock()
	defer b.mu.Unlock()
	s, refused := b.find(r.PathValue("id"))
	if refused != nil {
		return nil, refused
	}
	want := grant.Nonce(grant.RoleActivate, grant.GrantHash(s.docs.Grant), grant.KeyHash(in.Key), [32]byte(in.Salt))
	if claims := claimsOf(in.Token); s.view.Status != session.Approved || claims["nonce"] != want || claims["aud"] != "sallyport-cli" {
		return nil, &refusal{409, session.Refused, "The agent refused the activation", "Run it again."}
	}
	if b.keys[s.view.ID]++; b.keys[s.view.ID] > 4 {
		return nil, &refusal{409, session.Refused, "4 keys have joined this request", "Use one of them."}
	}
	return s.view, nil
}

func (b *broker) propose(r *http.Request, who session.Person) (any, *refusal) {
	in := read[api.Counter](r)
	return b.decide(r, who, func(v *api.Request) {
		v.Proposal = &api.Proposal{From: in.From, Until: in.Until, Reason: in.Reason, By: who.Email, At: b.now()}
	})
}

func (b *broker) revoke(r *http.Request, who session.Person) (any, *refusal) {
	in := read[api.Revocation](r)
	return b.decide(r, who, func(v *api.Request) { v.Status, v.RevokedBy, v.RevokeWhy = session.Revoked, who.Email, in.Reason })
}

func (b *broker) decide(r *http.Request, who session.Person, change func(*api.Request)) (any, *refusal) {
	if rolesOf(who)[0] != session.Approver {
		return nil, &refusal{403, session.Denied, "Your role may not do this", "Ask an approver."}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s, refused := b.find(r.PathValue("id"))
	if refused != nil {
		return nil, refused
	}
	change(&s.view)
	b.change()
	return s.view, nil
}

func (b *broker) hold(r *http.Request, who session.Person) (any, *refusal) {
	if rolesOf(who)[0] != session.Approver {
		return nil, &refusal{403, session.Denied, "Your role may not do this", "Ask an approver."}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.sessions {
		s := &b.sessions[i]
		if s.ID != r.PathValue("id") {
			continue
		}
		if strings.HasSuffix(r.URL.Path, "/freeze") {
			s.State, s.Frozen = session.Frozen, []string{"broker", "local"}
		} else {
			s.Frozen = []string{"local"}
		}
		return *s, nil
	}
	return nil, &refusal{404, session.Invalid, "There is no such session", ""}
}

func (b *broker) listEngineers(_ *http.Request, who session.Person) (any, *refusal) {
	if rolesOf(who)[0] != session.Approver {
		return nil, &refusal{403, session.Denied, "Your role may not do this", "Ask an approver."}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all, seen := []api.Engineer{}, map[string]bool{}
	for _, s := range b.requests {
		p := s.view.Engineer
		if seen[p.Sub] {
			continue
		}
		seen[p.Sub] = true
		e := api.Engineer{Person: p, Site: "NGH", Waiting: []string{}, Asked: &s.view.Created}
		if old, ok := b.engineers[p.Sub]; ok {
			e.Disabled, e.By, e.Reason, e.Waiting = old.Disabled, old.By, old.Reason, old.Waiting
		}
		all = append(all, e)
	}
	return all, nil
}

func (b *broker) stand(r *http.Request, who session.Person) (any, *refusal) {
	in := read[api.Standing](r)
	if rolesOf(who)[0] != session.Approver || in.Site != "NGH" || in.Reason == "" || in.Iss == "" {
		return nil, &refusal{403, session.Denied, "Your role may not do this", "Ask an approver."}
	}
	all, _ := b.listEngineers(r, who)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range all.([]api.Engineer) {
		if e.Sub == in.Sub && e.Iss == in.Iss {
			e.Disabled, e.By, e.Reason, e.Waiting = strings.HasSuffix(r.URL.Path, "/disable"), who.Email, in.Reason, []string{}
			if e.Disabled && b.away {
				e.Waiting = []string{"ngh-agent"}
			}
			b.engineers[e.Sub] = e
			return e, nil
		}
	}
	return nil, &refusal{400, session.Invalid, "That names no engineer", ""}
}

// sessionOf is the session that an extension names.
func sessionOf(parent string) string {
	id, _ := session.ParseText(parent)
	return id.Session()
}
