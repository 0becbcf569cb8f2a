package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// broker is a stand-in that polices its caller: nonces, signatures and who may call
// what are checked; what is stored is only what the stories need.
type broker struct {
	*httptest.Server
	doorKey string

	mu         sync.Mutex
	people     map[string]session.Person // by token
	requests   []*stored
	sessions   []api.Session
	recordings map[string][]byte
	listed     []api.Recording
	needed     int
	changed    chan struct{} // closed and replaced at every change
	twin       bool          // the catalogue has another site's scanner of the same name
	hostile    bool          // answers carry terminal escapes
	swap       bool          // documents of another request
	zone       string        // of the site
	quorum     []session.Quorum
	engineers  map[string]api.Engineer // disabled or enabled, by subject
	keys       map[string]int          // that joined, by request
	at         time.Time               // the story's clock; zero: the machine's
	away       bool                    // the agent is
}

type stored struct {
	view  api.Request
	docs  api.Documents
	voted map[string]bool
	kept  []byte // the grant before somebody widened it

	approved []access.Approval // before somebody swapped them
}

type refusal struct {
	status int
	kind   session.Kind
	text   string
	next   string
}

func newBroker() *broker {
	pub, _, _ := ed25519.GenerateKey(nil)
	b := &broker{doorKey: session.KeyLine(pub), people: map[string]session.Person{}, recordings: map[string][]byte{}, needed: 1, engineers: map[string]api.Engineer{}, keys: map[string]int{}, changed: make(chan struct{})}
	mux := http.NewServeMux()
	handle := func(pattern string, f func(*http.Request, session.Person) (any, *refusal)) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v1"+path, func(w http.ResponseWriter, r *http.Request) {
			b.mu.Lock()
			who, ok := b.people[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
			b.mu.Unlock()
			if !ok && path != "/login" {
				b.write(w, nil, &refusal{401, session.Denied, "Your sign-in is not known here", ""})
				return
			}
			v, refused := f(r, who)
			b.write(w, v, refused)
		})
	}
	handle("POST /login", b.login)
	handle("POST /logout", func(r *http.Request, _ session.Person) (any, *refusal) {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.people, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		return nil, nil
	})
	handle("GET /me", func(_ *http.Request, who session.Person) (any, *refusal) {
		return api.Login{Person: who, Roles: rolesOf(who), SSH: b.door()}, nil
	})
	handle("GET /assets", func(r *http.Request, _ session.Person) (any, *refusal) {
		all := b.assets(r.URL.Query().Get("site"))
		return slices.DeleteFunc(all, func(a api.Asset) bool {
			name := r.URL.Query().Get("name")
			return name != "" && !strings.EqualFold(name, a.Name)
		}), nil
	})
	handle("POST /requests", b.request)
	handle("GET /requests", func(r *http.Request, _ session.Person) (any, *refusal) {
		want := session.Status(r.URL.Query().Get("status"))
		return part(r, b.views(), func(v api.Request) bool { return want == "" || v.Status == want }), nil
	})
	handle("GET /requests/{id}", b.show)
	handle("GET /requests/{id}/documents", b.documents)
	handle("POST /requests/{id}/approvals", b.approve)
	handle("POST /requests/{id}/deny", b.deny)
	handle("POST /requests/deny", b.denyAll)
	handle("POST /requests/{id}/withdraw", b.withdraw)
	handle("POST /requests/{id}/activate", b.activate)
	handle("POST /requests/{id}/propose", b.propose)
	handle("POST /requests/{id}/revoke", b.revoke)
	handle("POST /sessions/{id}/freeze", b.hold)
	handle("POST /sessions/{id}/thaw", b.hold)
	handle("GET /engineers", b.listEngineers)
	handle("POST /engineers/disable", b.stand)
	handle("POST /engineers/enable", b.stand)
	handle("GET /access/{asset}/{service}", b.access)
	handle("GET /access/{site}/{asset}/{service}", b.access)
	handle("GET /sessions", func(r *http.Request, _ session.Person) (any, *refusal) {
		return part(r, b.sessions, func(s api.Session) bool { return r.URL.Query().Get("state") == "" || s.State != session.Ended }), nil
	})
	handle("GET /sessions/{id}", b.session)
	handle("POST /sessions/{id}/kill", b.kill)
	handle("GET /recordings", b.findRecordings)
	handle("POST /recordings/{id}/reviews", b.review)
	handle("GET /recordings/{id}", b.recording)
	handle("GET /recordings/{id}/file", b.file)
	handle("GET /recordings/{id}/pack", b.file)
	handle("POST /recordings/{id}/viewed", func(*http.Request, session.Person) (any, *refusal) { return nil, nil })
	b.Server = httptest.NewServer(mux)
	return b
}

// stretch is a part of a list, and where it goes on.
type stretch struct {
	list any
	next string
}

// part is what a call asks for of a list that has what fits.
func part[T any](r *http.Request, all []T, fits func(T) bool) stretch {
	all = slices.DeleteFunc(slices.Clone(all), func(x T) bool { return !fits(x) })
	from, _ := strconv.Atoi(r.URL.Query().Get("after"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if limit == 0 {
		limit = 100
	}
	s := stretch{list: append([]T{}, all[min(from, len(all)):min(from+limit, len(all))]...)}
	if from+limit < len(all) {
		s.next = strconv.Itoa(from + limit)
	}
	return s
}

func (b *broker) write(w http.ResponseWriter, v any, refused *refusal) {
	if refused != nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(refused.status)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: refused.status, Kind: refused.kind, Message: refused.text, Next: refused.next})
		return
	}
	if s, ok := v.(stretch); ok {
		w.Header().Set("X-Next", s.next)
		v = s.list
	}
	if data, ok := v.([]byte); ok {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(data)
		return
	}
	if v == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func rolesOf(p session.Person) []session.Role {
	switch {
	case strings.HasPrefix(p.Email, "approver"):
		return []session.Role{session.Approver}
	case strings.HasPrefix(p.Email, "auditor"):
		return []session.Role{session.Auditor}
	}
	return []session.Role{session.Engineer}
}

func (b *broker) door() api.SSHDoor {
	return api.SSHDoor{Address: "127.0.0.1:2222", HostKey: b.doorKey}
}

func read[T any](r *http.Request) T {
	var v T
	_ = json.NewDecoder(r.Body).Decode(&v)
	return v
}

func invalid(text string) *refusal { return &refusal{400, session.Invalid, text, "Look at it again."} }

func (b *broker) login(r *http.Request, _ session.Person) (any, *refusal) {
	p := read[api.SignIn](r)
	claims := claimsOf(p.IDToken)
	key, err := session.ParseKeyLine(p.Key)
	sum := sha256.Sum256([]byte(p.IDToken))
	if err != nil || len(p.Salt) != 32 || !ed25519.Verify(key, append([]byte("sallyport/v1/login-proof\x00"), sum[:]...), p.Signature) {
		return nil, invalid("The login proof does not hold")
	}
	if claims["nonce"] != grant.Nonce(grant.RoleLogin, sha256.Sum256([]byte(b.URL)), sha256.Sum256([]byte(p.Key)), [32]byte(p.Salt)) {
		return nil, invalid("The login nonce does not hold")
	}
	who := session.Person{Identity: session.Identity{Iss: claims["iss"].(string), Sub: claims["sub"].(string)}, Email: claims["email"].(string), Name: claims["name"].(string)}
	b.mu.Lock()
	defer b.mu.Unlock()
	token := "token-" + who.Email
	b.people[token] = who
	return api.Login{Token: token, Expires: b.now().Add(8 * time.Hour).UTC(), Person: who, Roles: rolesOf(who), SSH: b.door()}, nil
}

func (b *broker) assets(site string) []api.Asset {
	if site != "" && !strings.EqualFold(site, "NGH") && (!strings.EqualFold(site, "HST") || !b.twin) {
		return []api.Asset{}
	}
	label := "Helion 64"
	if b.hostile {
		label = "Helion\x1b]0;owned\x07\u202e64\u009b31m"
	}
	all := []session.Channel{session.Exec, session.FilesIn, session.FilesOut, session.Shell}
	list := []api.Asset{
		{Target: "NGH/NGH-PETCT1", Name: "NGH-PETCT1", Site: "NGH", Label: label, Modality: "PT/CT", Online: true, Needed: b.needed, Longest: 8 * 3600, Channels: all, Window: 24 * 3600, Zone: b.zone, Quorum: b.quorum,
			Services: []session.Service{{Name: "recon-ssh", Endpoint: "recon", Protocol: session.SSH, Port: 22, Class: session.NonDisruptive}}},
		{Target: "NGH/NGH-CT2", Name: "NGH-CT2", Site: "NGH", Label: "Rotor 128", Modality: "CT", Needed: 1, Longest: 1800, Window: 24 * 3600, Channels: all[:1],
			Services: []session.Service{{Name: "irs-ssh", Endpoint: "irs", Protocol: session.SSH, Port: 22, Class: session.Observe}}},
	}
	if b.twin { // another hospital calls a scanner as this one does
		list = append(list, api.Asset{Target: "HST/ngh-petct1", Name: "ngh-petct1", Site: "HST", Label: "Helion 64", Modality: "PT/CT", Online: true, Needed: 1, Longest: 8 * 3600, Channels: all, Window: 24 * 3600,
			Services: []session.Service{{Name: "RECON-SSH", Endpoint: "recon", Protocol: session.SSH, Port: 22, Class: session.NonDisruptive}}})
	}
	return slices.DeleteFunc(list, func(a api.Asset) bool { return site != "" && !strings.EqualFold(a.Site, site) })
}

func (b *broker) views() []api.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []api.Request{}
	for i := len(b.requests) - 1; i >= 0; i-- {
		list = append(list, b.requests[i].view)
	}
	return list
}

func (b *broker) request(r *http.Request, who session.Person) (any, *refusal) {
	in := read[struct {
		Request []byte `json:"request"`
		Token   string `json:"token"`
		Salt    []byte `json:"salt"`
	}](r)
	doc, err := grant.ParseRequest(in.Request)
	claims := claimsOf(in.Token)
	if err != nil || len(in.Salt) != 32 || claims["nonce"] != grant.Nonce(grant.RoleRequest, grant.RequestHash(in.Request), [32]byte{}, [32]byte(in.Salt)) || claims["aud"] != "sallyport-cli" {
		return nil, invalid("The request's nonce does not hold")
	}
	if strings.Contains(doc.Reason, "offline") {
		return nil, &refusal{503, session.Unreachable, "The hospital's agent is not connected; nothing was stored", "Ask again later."}
	}
	if strings.Contains(doc.Reason, "refuse me") {
		return nil, &refusal{409, session.Refused, "The agent refused the request", "Ask for less."}
	}
	if refused := b.keyOrWindow(doc); refused != nil {
		return nil, refused
	}
	rid, _ := session.ParseText(doc.RID)
	s := &stored{voted: map[string]bool{}, docs: api.Documents{Request: in.Request, Token: in.Token, Salt: in.Salt, Received: time.Now()},
		view: api.Request{ID: rid.Request(), Status: session.Pending, Target: fullName(doc.Site, doc.Asset, strings.Join(doc.Services, ",")), Asset: doc.Asset, Services: doc.Services, NotBefore: time.Unix(doc.NBF, 0).UTC(), NotAfter: time.Unix(doc.EXP, 0).UTC(),
			MaxSeconds: doc.MaxS, Needed: b.needed, Site: doc.Site, Class: doc.Class, Channels: doc.Channels, Engineer: who, Reason: doc.Reason, WorkOrder: doc.Ref, Created: time.Now().UTC(), Kind: doc.Kind}}
	if parent, err := session.ParseText(doc.Parent); err == nil {
		s.view.Extends = parent.Session()
	}
	for _, q := range b.quorum {
		s.view.Missing = append(s.view.Missing, q.Group)
	}
	b.mu.Lock()
	b.requests = append(b.requests, s)
	b.mu.Unlock()
	return s.view, nil
}

func (b *broker) find(id string) (*stored, *refusal) {
	for _, s := range b.requests {
		if s.view.ID == id {
			return s, nil
		}
	}
	return nil, &refusal{404, session.Invalid, "There is no request " + id, "Look at: sallyport request ls"}
}

func (b *broker) show(r *http.Request, _ session.Person) (any, *refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, refused := b.find(r.PathValue("id"))
	if refused != nil {
		return nil, refused
	}
	if seconds, _ := strconv.Atoi(r.URL.Query().Get("wait")); seconds > 0 && string(s.view.Status) == r.URL.Query().Get("status") {
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
		case <-time.After(time.Duration(seconds) * time.Second):
		}
		b.mu.Lock()
	}
	return s.view, nil
}

// change must be called with the lock held.
func (b *broker) change() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *broker) documents(r *http.Request, _ session.Person) (any, *refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, refused := b.find(r.PathValue("id"))
	if refused != nil {
		return nil, refused
	}
	for _, other := range b.requests {
		if b.swap && other != s {
			return other.docs, nil
		}
	}
	return s.docs, nil
}

func (b *broker) approve(r *http.Request, who session.Person) (any, *refusal) {
	in := read[struct {
		Grant []byte `json:"grant"`
		Token string `json:"token"`
		Salt  []byte `json:"salt"`
	}](r)
	b.mu.Lock()
	defer b.mu.Unlock()
	s, refused := b.find(r.PathValue("id"))
	if refused != nil {
		return nil, refused
	}
	claims := claimsOf(in.Token)
	g, err := grant.ParseGrant(in.Grant)
	qh := grant.RequestHash(s.docs.Request)
	want := grant.Nonce(grant.RoleApprove, grant.GrantHash(in.Grant), sha256.Sum256([]byte(s.docs.Token)), [32]byte(in.Salt))
	if err != nil || claims["nonce"] != want || claims["aud"] != "sallyport-console" || claims["auth_time"] == nil || g.Req != hex.EncodeToString(qh[:]) || rolesOf(who)[0] != session.Approver {
		return nil, &refusal{409, session.Refused, "The agent refused the approval", "Read the request again."}
	}
	if string(s.docs.Grant) != string(in.Grant) {
		s.voted, s.docs.Approvals = map[string]bool{}, nil
	}
	s.docs.Approvals = append(s.docs.Approvals, access.Approval{Token: in.Token, Salt: in.Salt})
	s.voted[fmt.Sprint(claims["sub"])] = true
	s.docs.Grant = in.Grant
	s.view.Approvals = len(s.voted)
	if len(s.view.Missing) > 0 {
		s.view.Missing = s.view.Missing[1:]
	}
	admitted := s.view.Approvals >= s.view.Needed
	if admitted {
		gid, _ := session.ParseText(g.GID)
		text := gid.Session()
		s.view.Grant, s.view.Status, s.view.MaxSeconds, s.view.Channels = &text, session.Approved, g.MaxS, g.Channels
		if s.view.Kind == grant.KindExtension {
			s.view.Status = session.Closed
			b.sessions[0].Deadline = session.Deadline(b.sessions[0].Opened, time.Duration(g.MaxS)*time.Second, time.Unix(g.EXP, 0).UTC())
		}
		b.change()
	}
	return api.Decided{Request: s.view, Admitted: admitted}, nil
}

func (b *broker) deny(r *http.Request, who session.Person) (any, *refusal) {
	in := read[map[string]string](r)
	if rolesOf(who)[0] != session.Approver {
		return nil, &refusal{403, session.Denied, "Only approvers of the site may deny", "Ask one of them."}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s, refused := b.find(r.PathValue("id"))
	if refused != nil {
		return nil, refused
	}
	s.view.Status, s.view.DeniedBy, s.view.DenyReason = session.DeniedBy, who.Name, in["reason"]
	b.change()
	return s.view, nil
}

func (b *broker) denyAll(r *http.Request, who session.Person) (any, *refusal) {
	in := read[api.Denials](r)
	if rolesOf(who)[0] != session.Approver {
		return nil, &refusal{403, session.Denied, "Only approvers of the site may deny", "Ask one of them."}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out := api.Denied{Requests: []string{}}
	for _, s := range b.requests {
		if of := s.view.Engineer; s.view.Status == session.Pending && s.view.Site == in.Site && of.Iss == in.Iss && (in.Sub == "" || of.Sub == in.Sub) {
			s.view.Status, s.view.DeniedBy, s.view.DenyReason = session.DeniedBy, who.Name, in.Reason
			out.Requests = append(out.Requests, s.view.ID)
		}
	}
	b.change()
	return out, nil
}

func (b *broker) withdraw(r *http.Request, _ session.Person) (any, *refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, refused := b.find(r.PathValue("id"))
	if refused != nil {
		return nil, refused
	}
	s.view.Status = session.Withdrawn
	b.change()
	return s.view, nil
}

func (b *broker) access(r *http.Request, _ session.Person) (any, *refusal) {
	typed := session.Target{Site: r.PathValue("site"), Asset: r.PathValue("asset"), Service: r.PathValue("service")}
	var all []session.Target
	for _, a := range b.assets("") {
		all = append(all, session.Target{Site: a.Site, Asset: a.Name, Service: a.Services[0].Name})
	}
	of, _, err := typed.Choose(all)
	if err != nil {
		e := err.(*session.Error)
		return nil, &refusal{http.StatusUnprocessableEntity, e.Kind, e.Message, e.Next}
	}
	x := b.standing(of)
	x.Site, x.Asset, x.Service = of.Site, of.Asset, of.Service
	return x, nil
}

func (b *broker) standing(of session.Target) api.Access {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.requests) - 1; i >= 0; i-- {
		s := b.requests[i].view
		if s.Asset != of.Asset || s.Site != of.Site {
			continue
		}
		switch s.Status {
		case session.Pending:
			return api.Access{Pending: true, Kind: session.Refused, Message: "Northfield has not answered yet", Request: s.ID}
		case session.Approved:
			if s.NotBefore.After(b.now()) {
				return api.Access{Kind: session.Refused, Message: "The window opens at 18:30 CET (in 2 h)", Next: "Then run sallyport activate " + s.ID + " and connect.", Request: s.ID}
			}
			return api.Access{Ready: true, Request: s.ID}
		}
		return api.Access{Kind: session.Denied, Message: "Northfield declined", Request: s.ID}
	}
	return api.Access{Kind: session.Refused, Message: "You have no request for " + of.String(), Next: "Ask with: sallyport request new " + of.String()}
}

func (b *broker) session(r *http.Request, _ session.Person) (any, *refusal) {
	for _, s := range b.sessions {
		if s.ID == r.PathValue("id") {
			return s, nil
		}
	}
	return nil, &refusal{404, session.Invalid, "There is no such session", ""}
}

func (b *broker) kill(r *http.Request, who session.Person) (any, *refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range b.sessions {
		if s.ID == r.PathValue("id") {
			now, why := time.Now().UTC(), session.KilledRemote
			s.State, s.Ended, s.Reason = session.Ended, &now, &why
			b.sessions[i] = s
			return s, nil
		}
	}
	return nil, &refusal{404, session.Invalid, "There is no such session", ""}
}

func (b *broker) recording(r *http.Request, _ session.Person) (any, *refusal) {
	for _, v := range b.listed {
		if v.ID == r.PathValue("id") {
			return v, nil
		}
	}
	return nil, &refusal{404, session.Invalid, "There is no such recording", ""}
}

// findRecordings knows one filter of each sort.
func (b *broker) findRecordings(r *http.Request, _ session.Person) (any, *refusal) {
	q, found := r.URL.Query(), []api.Recording{}
	for _, v := range b.listed {
		from, _ := time.Parse(time.RFC3339, q.Get("from"))
		to, err := time.Parse(time.RFC3339, q.Get("to"))
		if (q.Get("asset") == "" || strings.HasSuffix("/"+v.Site+"/"+v.Asset, "/"+q.Get("asset"))) && (q.Get("with") == "" || q.Get("with") == "unreviewed" && len(v.Reviews) == 0) &&
			!v.Started.Before(from) && (err != nil || v.Started.Before(to)) {
			found = append(found, v)
		}
	}
	return found, nil
}

func (b *broker) review(r *http.Request, who session.Person) (any, *refusal) {
	if !slices.Contains(rolesOf(who), session.Auditor) && !slices.Contains(rolesOf(who), session.Approver) {
		return nil, &refusal{403, session.Denied, "Your role may not do this.", "Ask an auditor."}
	}
	var a api.Attestation
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		return nil, &refusal{400, session.Invalid, "The call is malformed", ""}
	}
	for i, v := range b.listed {
		if v.ID == r.PathValue("id") {
			b.listed[i].Reviews = append(v.Reviews, api.Review{By: who.Email, Attestation: a.Attestation, Comment: a.Comment})
			return b.listed[i], nil
		}
	}
	return nil, &refusal{404, session.Invalid, "There is no such recording", ""}
}

func (b *broker) file(r *http.Request, _ session.Person) (any, *refusal) {
	if reason := r.URL.Query().Get("reason"); reason == "" || reason == "none of your business" {
		return nil, &refusal{400, session.Invalid, "That is no reason.", "Say why."}
	}
	if data, ok := b.recordings[r.PathValue("id")]; ok {
		return data, nil
	}
	return nil, &refusal{404, session.Invalid, "There is no such recording", ""}
}
