package roundtrip

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/secret"
)

// stranger is an identity provider that nobody here wrote, in a process of its own.
type stranger struct {
	Clients  []map[string]any          `json:"clients"` // {door} in a redirect is the issuer's
	People   map[string]map[string]any `json:"people"`  // by e-mail address
	Claims   []string                  `json:"claims"`
	Pairwise bool                      `json:"pairwise"`
	Twist    *twist                    `json:"twist,omitempty"`
}

// twist is what another product's ID tokens have otherwise.
type twist struct {
	Shift map[string]int `json:"shift,omitempty"`
	Drop  []string       `json:"drop,omitempty"`
	Set   map[string]any `json:"set,omitempty"`
}

const peers = "../../../broker/web/e2e/peers/"

// start runs a program of providers and returns their issuers. It ends with its standard
// input.
func start(t *testing.T, all []stranger, name string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it may have been in the middle of something
	})
	if err := json.NewEncoder(in).Encode(all); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var issuers []string
	if err == nil {
		err = json.Unmarshal(line, &issuers)
	}
	if err != nil || len(issuers) != len(all) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("%s did not start: %v\n%s", name, err, &errs)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return issuers
}

// judge is a hospital's agent as far as it judges tokens: with the verifier, the pins and
// the key sets of the real one.
type judge struct {
	accesstest.Agents
	verifier *grant.Verifier

	mu    sync.Mutex
	taken map[string]grant.Receipt // of requests, by their bytes
}

func newJudge(t *testing.T, issuers []session.Issuer) *judge {
	t.Helper()
	j := &judge{Agents: accesstest.Agents{Site: "NGH", Name: "main", Now: time.Now}, taken: map[string]grant.Receipt{}}
	keys, err := idtoken.NewKeySets(issuers, nil)
	if err != nil {
		t.Fatal(err)
	}
	assets := map[string]session.Asset{}
	for _, a := range j.Hello("NGH-PETCT1").Assets {
		a.Policy.Accept = session.Accept{Engineer: []session.ClientClass{session.Web}, Approver: []session.ClientClass{session.Web}}
		assets[a.Name] = a
	}
	if j.verifier, err = grant.NewVerifier(grant.Policy{Site: "NGH", Agent: j.Fingerprint(), Issuers: issuers, Assets: assets}, keys); err != nil {
		t.Fatal(err)
	}
	return j
}

// Deliver implements access.Agents.
func (j *judge) Deliver(ctx context.Context, _, _ string, d link.Deliver) (link.Verdict, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now, proof := time.Now(), grant.Proof{Token: d.Token, Salt: d.Salt}
	var err error
	v := link.Verdict{OK: true, Needed: 1}
	switch d.Kind {
	case link.DeliverRequest:
		var r grant.Receipt
		if _, r, err = j.verifier.CheckRequest(ctx, d.Request, proof, now); err == nil {
			j.taken[string(d.Request)] = r
		}
	case link.DeliverApproval:
		var r grant.Receipt
		engineer := j.taken[string(d.Request)]
		if _, r, err = j.verifier.CheckApproval(ctx, d.Request, engineer, d.Grant, proof, now); err == nil {
			_, err = j.verifier.Verify(d.Request, engineer, d.Grant, []grant.Receipt{r}, now)
			v.Admitted, v.Count = true, 1
		}
	}
	if err != nil {
		v = link.Verdict{Kind: session.KindOf(err), Message: message(err), Next: "Ask."}
	}
	return v, nil
}

// profile is a product's way with tokens: what the provider is told to send, what stands in
// deploy/identity for it, and what its usual wrong setting is refused with.
type profile struct {
	person   map[string]any // an approver's claims, her sub and e-mail aside
	provider func(*stranger)
	tokens   session.Tokens
	signIn   session.SignIn
	secret   string // of the web client: client_secret_basic or client_secret_post
	wrong    map[string]mistake
}

// mistake is a wrong setting, on either side, and the words that name it.
type mistake struct {
	provider func(*stranger)
	entry    func(*session.Issuer)
	says     string
}

const tenant = "8d5b2c4e-6b0f-4f0e-9d4b-0c2f5a7e9b11"

func profiles() map[string]profile {
	shift := func(by int) func(*stranger) {
		return func(s *stranger) { s.Twist = &twist{Shift: map[string]int{"iat": by, "nbf": by}} }
	}
	drop := func(claims ...string) func(*stranger) {
		return func(s *stranger) { s.twisted().Drop = append(s.twisted().Drop, claims...) }
	}
	put := func(name string, value any) func(*stranger) {
		return func(s *stranger) { s.twisted().Set[name] = value }
	}
	noTime := mistake{drop("auth_time"), nil, "the claim auth_time is missing"}
	old := mistake{shift2("auth_time", -200), nil, "before the token came in; here it may be"}
	group := mistake{nil, func(i *session.Issuer) { i.Groups.Approver = "other" }, "the group other"}
	return map[string]profile{
		"Entra ID": {
			person:   map[string]any{"oid": "oid-anna", "tid": tenant, "roles": []string{"scanner-approvers"}, "ver": "2.0"},
			provider: func(s *stranger) { s.Pairwise = true; shift(-300)(s) },
			tokens:   session.Tokens{Subject: "oid", Tenant: tenant, GroupsClaim: "roles", Groups: session.Groups{Approver: "scanner-approvers"}, Fresh: "3m"},
			secret:   "client_secret_post",
			wrong: map[string]mistake{
				"auth_time is not sent":    noTime,
				"another tenant's account": {put("tid", "9188040d"), nil, "another tenant"},
				"oid is not sent":          {drop("oid"), nil, "the claim oid is missing"},
				"200 groups instead of a role": {func(s *stranger) {
					drop("roles")(s)
					put("hasgroups", true)(s)
					put("_claim_names", map[string]any{"roles": "src1"})(s)
				}, nil, "because there are too many"},
				"sub, which is pairwise":       {nil, func(i *session.Issuer) { i.Subject, i.Tenant = "", "" }, "sub is pairwise"},
				"dated back by twenty minutes": {shift(-1200), nil, "too old"},
				"the role is called otherwise": group,
			},
		},
		"AD FS": {
			person:   map[string]any{"unique_name": `NORTHFIELD\Anna`, "upn": approver, "group": "scanner-approvers"},
			provider: func(s *stranger) { s.Pairwise = true; drop("email", "email_verified", "name")(s) },
			tokens:   session.Tokens{Subject: "unique_name", GroupsClaim: "group", Groups: session.Groups{Approver: "scanner-approvers"}, Fresh: "2m"},
			signIn:   session.SignIn{Scopes: []string{"openid", "allatclaims"}, ResponseMode: "form_post"},
			secret:   "client_secret_basic",
			wrong: map[string]mistake{
				"unique_name is not sent": {drop("unique_name"), nil, "the claim unique_name is missing"},
				"the login is old":        old,
				"no rule for the group":   {drop("group"), nil, "the group scanner-approvers"},
			},
		},
		"Okta": {
			person: map[string]any{"groups": []string{"Everyone", "scanner-approvers"}, "amr": []string{"pwd", "mfa"}, "ver": 1},
			tokens: session.Tokens{GroupsClaim: "groups", Groups: session.Groups{Approver: "scanner-approvers"}},
			signIn: session.SignIn{Scopes: []string{"openid", "email", "profile", "groups"}, Parameters: map[string]string{"acr_values": "phr"}},
			secret: "client_secret_basic",
			wrong: map[string]mistake{
				"no groups claim filter": {drop("groups"), nil, "the group scanner-approvers"},
				"auth_time is not sent":  noTime,
			},
		},
		"Keycloak": {
			person:   map[string]any{"groups": []string{"/clinic", "scanner-approvers"}, "acr": "1"},
			provider: put("typ", "ID"),
			tokens:   session.Tokens{Subject: "sub", GroupsClaim: "groups", Groups: session.Groups{Approver: "scanner-approvers"}},
			wrong: map[string]mistake{
				"full group path on": {put("groups", []string{"/clinic", "/scanner-approvers"}), nil, "the group scanner-approvers"},
				"signed with ES256":  {nil, func(i *session.Issuer) { i.Algorithms = []string{"ES256"} }, "signed in a way that is not allowed here"},
				"the login is old":   old,
			},
		},
	}
}

func (s *stranger) twisted() *twist {
	if s.Twist == nil {
		s.Twist = &twist{}
	}
	if s.Twist.Set == nil {
		s.Twist.Set = map[string]any{}
	}
	return s.Twist
}

func shift2(name string, by int) func(*stranger) {
	return func(s *stranger) {
		if t := s.twisted(); t.Shift == nil {
			t.Shift = map[string]int{}
		}
		s.Twist.Shift[name] = by
	}
}

// clinic is a broker between a vendor's and a hospital's strangers, and an agent that judges.
type clinic struct {
	profile
	mistake
	server           *httptest.Server // of the broker
	vendor, hospital stranger
}

func newClinic(t *testing.T, p profile, m mistake) *clinic {
	t.Helper()
	c := &clinic{profile: p, mistake: m, server: httptest.NewUnstartedServer(nil)}
	t.Cleanup(c.server.Close)
	c.vendor = stranger{Claims: []string{"groups"}, Clients: []map[string]any{webClient(c.server, "")},
		People: map[string]map[string]any{engineer: {"sub": "v1", "groups": []string{session.GroupEngineers}, "name": "J. Brandt"}}}
	person := map[string]any{"sub": "h1", "name": "M. Okafor"}
	c.hospital = stranger{Claims: []string{}, Clients: []map[string]any{webClient(c.server, p.secret)}, People: map[string]map[string]any{approver: person}}
	for name, value := range p.person {
		person[name] = value
		c.hospital.Claims = append(c.hospital.Claims, name)
	}
	for _, f := range []func(*stranger){p.provider, m.provider} {
		if f != nil {
			f(&c.hospital)
		}
	}
	return c
}

// open opens the broker's doors, once the providers are there.
func (c *clinic) open(t *testing.T, vendor, hospital string) *world {
	t.Helper()
	web := map[string]session.ClientClass{"sallyport-web": session.Web}
	theirs := session.Issuer{URL: vendor, Side: session.VendorSide, Domains: []string{"meridian.example"}, Clients: web, Login: "sallyport-cli", InsecureLoopback: true,
		Tokens: session.Tokens{Subject: "sub"}}
	ours := session.Issuer{URL: hospital, Side: session.HospitalSide, Domains: []string{"northfield.example"}, Clients: web, Login: "sallyport-cli", InsecureLoopback: true,
		Tokens: c.tokens, SignIn: c.signIn}
	if c.entry != nil {
		c.entry(&ours)
	}
	issuers := []identity.Issuer{{Issuer: theirs, Sites: []string{"NGH"}}, {Issuer: ours, Sites: []string{"NGH"}}}
	if c.secret != "" {
		t.Setenv("TEST_CLIENT_SECRET", clientSecret)
		ref, err := secret.Parse("env:TEST_CLIENT_SECRET")
		if err != nil {
			t.Fatal(err)
		}
		issuers[1].Secret = ref
	}
	return openWorld(t, with{issuers: issuers, agent: newJudge(t, []session.Issuer{theirs, ours}), url: c.server})
}

// approve goes the whole way, and returns what an approver is told instead, if anything.
func (w *world) approve() string {
	w.t.Helper()
	eng, app := w.browser(), w.browser()
	if said := app.problem(approver); said != "" {
		return said
	}
	eng.signIn(engineer)
	asked := eng.prove(eng.ask())
	if !asked.OK {
		w.t.Fatalf("asked: %+v", asked.Problem)
	}
	switch o := app.prove(app.approval(asked.Request)); {
	case o.Problem != nil:
		return o.Problem.Message + " " + o.Problem.Next
	case !o.Admitted:
		return "taken, and not admitted"
	}
	return ""
}

const clientSecret = "a secret of 43 letters, with a % and a + in."

func webClient(s *httptest.Server, method string) map[string]any {
	c := map[string]any{"client_id": "sallyport-web", "redirect_uris": []string{"http://" + s.Listener.Addr().String() + session.CallbackPath + "{door}"},
		"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code"}, "response_types": []string{"code"}}
	if method != "" {
		c["token_endpoint_auth_method"], c["client_secret"] = method, clientSecret
	}
	return c
}

func message(err error) string {
	var e *session.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// A whole request and approval with each product's tokens; and each product's usual wrong
// settings, refused with the words that name the one thing that is wrong.
func TestStrangers(t *testing.T) {
	clinics := map[string]*clinic{}
	for name, p := range profiles() {
		clinics[name] = newClinic(t, p, mistake{})
		for what, m := range p.wrong {
			clinics[name+", "+what] = newClinic(t, p, m)
		}
	}
	visit(t, clinics, "node", peers+"provider.mjs")
}

// The same with a third provider, which sends its tokens as it does: a confidential client,
// groups by name, no iss in its answers, and an audience that is a list.
func TestStrangersInGo(t *testing.T) {
	program := filepath.Join(t.TempDir(), "zitadel")
	build := exec.Command("go", "build", "-C", "testdata/zitadel", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	clinics := map[string]*clinic{}
	for name, p := range profiles() {
		if p.provider != nil && name != "Keycloak" {
			continue // it makes tokens in one way only
		}
		p.provider = nil
		clinics[name] = newClinic(t, p, mistake{})
		for what, m := range p.wrong {
			if m.provider == nil {
				clinics[name+", "+what] = newClinic(t, p, m)
			}
		}
	}
	visit(t, clinics, program)
}

// visit starts the providers of all clinics in one program, and goes the whole way in each.
func visit(t *testing.T, clinics map[string]*clinic, program string, args ...string) {
	t.Helper()
	var all []stranger
	names := slices.Sorted(maps.Keys(clinics))
	for _, name := range names {
		all = append(all, clinics[name].vendor, clinics[name].hospital)
	}
	issuers := start(t, all, program, args...)
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			c := clinics[name]
			said := c.open(t, issuers[2*i], issuers[2*i+1]).approve()
			if c.says == "" && said != "" || !strings.Contains(said, c.says) {
				t.Errorf("says %q, not %q", said, c.says)
			}
		})
	}
}

// A relying party that nobody here wrote, and a strict one, takes what the development
// provider says.
func TestAStrictRelyingParty(t *testing.T) {
	w := newWorld(t)
	w.now.Store(time.Now().UnixNano()) // its clock is the real one
	cmd := exec.Command("node", peers+"relying.mjs")
	cmd.Stdin = strings.NewReader(`{"issuer":"` + w.hospital.Issuer() + `","client":"sallyport-cli","redirect":"http://127.0.0.1:8400/cb","hint":"` + approver + `","max_age":0}` + "\n")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got struct {
		Claims   map[string]any `json:"claims"`
		Refresh  bool           `json:"refresh"`
		Metadata map[string]any `json:"metadata"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Claims["email"] != approver || got.Refresh {
		t.Errorf("got %+v", got)
	}
	for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"} {
		if got.Metadata[name] == nil { // OpenID Connect Discovery, section 3: REQUIRED
			t.Errorf("discovery has no %s", name)
		}
	}
}
