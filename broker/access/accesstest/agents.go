// Package accesstest is a hospital's agent for tests of the broker: it keeps a
// ledger like the real one and polices what the broker asks of it, and it can
// fail in both ways a peer can - not done, and done but not told. It knows no keys:
// the middle part of a test token names its person.
package accesstest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// ErrLost is what a failing agent's peer sees.
var ErrLost = errors.New("the connection broke")

// Failure says how the next calls go wrong.
type Failure int

const (
	Works     Failure = iota
	NotDone           // the call never arrives
	DoneNoted         // the call is done, its answer is lost
)

// Agents is one agent of one site. Set its fields before it is shared.
type Agents struct {
	Site   string
	Name   string
	Needed int               // distinct approvers
	Fail   func() Failure    // asked at each call; nil: Works
	Refuse *link.Verdict     // answers every delivery when set
	During func(kind string) // runs before each call is looked at
	Now    func() time.Time

	mu      sync.Mutex // guards what follows
	away    bool
	entries map[string]*entry // by rid
	Log     []string          // what arrived, in order
}

type entry struct {
	request  []byte
	token    string
	grant    []byte
	gid      string
	by       map[string]bool
	admitted bool
	closed   bool
	gids     map[string]bool // ever admitted
	doc      grant.Request
	keys     map[string]bool // that open it
	frozen   bool
	until    int64 // seconds from its start, as granted or extended
}

// Key is the agent's identity key, the same in every test.
func (a *Agents) Key() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(a.Site + "/" + a.Name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Fingerprint is that key's.
func (a *Agents) Fingerprint() string {
	return session.Fingerprint(a.Key().Public().(ed25519.PublicKey))
}

// Hello announces scanners, each with the services recon-ssh and console-ssh.
func (a *Agents) Hello(assets ...string) link.Hello {
	h := link.Hello{V: 1, Site: a.Site, Agent: a.Name, Identity: session.KeyLine(a.Key().Public().(ed25519.PublicKey)), Boot: "b1", Version: "test"}
	for _, name := range assets {
		h.Assets = append(h.Assets, session.Asset{
			Name: name, Label: "Helion 64", Modality: "PT/CT",
			Services: []session.Service{
				{Name: "recon-ssh", Endpoint: "recon", Protocol: session.SSH, Port: 22, Class: session.NonDisruptive},
				{Name: "console-ssh", Endpoint: "console", Protocol: session.SSH, Port: 22, Class: session.Disruptive},
			},
			Policy: session.Policy{Approvals: max(a.Needed, 1), Longest: 8 * time.Hour, Window: 24 * time.Hour,
				Channels: []session.Channel{session.Exec, session.FilesIn, session.FilesOut, session.Shell},
				Accept:   session.Accept{Engineer: []session.ClientClass{session.CLI}, Approver: []session.ClientClass{session.Console}}},
		})
	}
	return h
}

// SetOnline connects or disconnects the agent.
func (a *Agents) SetOnline(online bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = !online
}

// Online implements access.Agents.
func (a *Agents) Online(site, agent string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.away && site == a.Site && agent == a.Name
}

// Deliver implements access.Agents.
func (a *Agents) Deliver(_ context.Context, site, agent string, d link.Deliver) (link.Verdict, error) {
	if a.During != nil {
		a.During(string(d.Kind))
	}
	return a.guarded(site, agent, string(d.Kind), func() link.Verdict {
		if a.Refuse != nil {
			return *a.Refuse
		}
		return a.deliver(d)
	})
}

// End implements access.Agents.
func (a *Agents) End(_ context.Context, site, agent string, e link.End) (link.Verdict, error) {
	if a.During != nil {
		a.During("end")
	}
	return a.guarded(site, agent, "end "+string(e.Reason), func() link.Verdict {
		id, err := session.ParseSessionID(e.Session)
		if err != nil || e.By.Sub == "" {
			return no(session.Invalid, "That names no session, or nobody ends it.")
		}
		for _, x := range a.entries {
			if x.gid == id.Text() && x.admitted {
				x.closed = true
				return link.Verdict{OK: true}
			}
		}
		return no(session.Invalid, "There is no such session.")
	})
}

// guarded lets a call arrive, or not, and its answer return, or not.
func (a *Agents) guarded(site, agent, what string, do func() link.Verdict) (link.Verdict, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if site != a.Site || agent != a.Name {
		return link.Verdict{}, fmt.Errorf("no agent %s/%s", site, agent)
	}
	if a.entries == nil {
		a.entries = map[string]*entry{}
	}
	failure := Works
	if a.Fail != nil {
		failure = a.Fail()
	}
	if failure == NotDone || a.away {
		return link.Verdict{}, ErrLost
	}
	a.Log = append(a.Log, what)
	v := do()
	if failure == DoneNoted {
		return link.Verdict{}, ErrLost
	}
	return v, nil
}

func (a *Agents) deliver(d link.Deliver) link.Verdict {
	switch d.Kind {
	case link.DeliverRequest:
		return a.pend(d)
	case link.DeliverApproval:
		return a.approve(d)
	case link.DeliverWithdraw, link.DeliverRevoke:
		return a.shut(d)
	case link.DeliverActivate:
		return a.activate(d)
	case link.DeliverFreeze, link.DeliverThaw:
		return a.hold(d)
	case link.DeliverDisable:
		return a.disable(d)
	case link.DeliverWatch:
		return a.watch(d)
	}
	return no(session.Invalid, "The agent knows no such delivery.")
}

func (a *Agents) pend(d link.Deliver) link.Verdict {
	var r grant.Request
	if json.Unmarshal(d.Request, &r) != nil || r.Site != a.Site || len(d.Salt) != 32 || Person(d.Token) != r.Eng.Sub {
		return no(session.Denied, "The engineer's proof does not belong to this request.")
	}
	x := a.entries[r.RID]
	switch {
	case x != nil:
	case r.Kind == grant.KindExtension && (r.Key != "" || a.session(r.Parent) == nil || a.session(r.Parent).doc.Eng != r.Eng):
		return no(session.Refused, "There is no such session to extend.")
	default:
		x = &entry{request: d.Request, token: d.Token, by: map[string]bool{}, gids: map[string]bool{}, doc: r, keys: map[string]bool{}}
		if r.Key != "" {
			x.keys[r.Key] = true
		}
		a.entries[r.RID] = x
	}
	if !bytes.Equal(x.request, d.Request) || x.token != d.Token {
		return no(session.Refused, "A request with this id came before.")
	}
	return a.yes(link.Verdict{Needed: max(a.Needed, 1)})
}

func (a *Agents) approve(d link.Deliver) link.Verdict {
	var r grant.Request
	var g grant.Grant
	if json.Unmarshal(d.Request, &r) != nil || json.Unmarshal(d.Grant, &g) != nil {
		return no(session.Invalid, "Those are no documents.")
	}
	x, who := a.entries[r.RID], Person(d.Token)
	switch {
	case x == nil || !bytes.Equal(x.request, d.Request):
		return no(session.Refused, "The agent does not know this request.")
	case g.Req != RequestHash(d.Request) || g.Agent != a.Fingerprint():
		return no(session.Refused, "The grant is for another request or agent.")
	case who == r.Eng.Sub || who == "":
		return no(session.Denied, "Engineers do not approve their own requests.")
	case bytes.Equal(x.grant, d.Grant) && x.by[who] && (!x.closed || r.Kind == grant.KindExtension): // a repetition
	case x.closed:
		return no(session.Refused, "This request was closed and stays closed.")
	case r.Kind == grant.KindExtension && a.session(r.Parent) == nil:
		return no(session.Refused, "The session is over.")
	case x.admitted:
		return no(session.Refused, "This request was granted before.")
	case !bytes.Equal(x.grant, d.Grant):
		x.grant, x.gid, x.by = d.Grant, g.GID, map[string]bool{who: true}
	default:
		x.by[who] = true
	}
	if len(x.by) >= max(a.Needed, 1) {
		x.admitted, x.until = true, g.MaxS
		x.gids[x.gid] = true
		if parent := a.session(r.Parent); r.Kind == grant.KindExtension && parent != nil && !x.closed {
			parent.until, x.closed = max(parent.until, g.MaxS), true
		}
	}
	return a.yes(link.Verdict{Admitted: x.admitted, Count: len(x.by), Needed: max(a.Needed, 1)})
}

func (a *Agents) shut(d link.Deliver) link.Verdict {
	for rid, x := range a.entries {
		id, err := session.ParseText(rid)
		if err == nil && id.Request() == d.ID {
			x.closed = true
			return link.Verdict{OK: true}
		}
		if gid, err := session.ParseText(x.gid); err == nil && gid.Session() == d.ID {
			x.closed = true
			return link.Verdict{OK: true}
		}
	}
	return no(session.Invalid, "The agent knows nothing of that.")
}

// session finds an admitted grant that is open, by gid.
func (a *Agents) session(gid string) *entry {
	for _, x := range a.entries {
		if x.gid == gid && x.admitted && !x.closed && x.doc.Kind == grant.KindSession {
			return x
		}
	}
	return nil
}

func (a *Agents) activate(d link.Deliver) link.Verdict {
	id, err := session.ParseSessionID(d.ID)
	x := a.session(id.Text())
	switch {
	case err != nil || x == nil:
		return no(session.Invalid, "There is no such session.")
	case len(d.Salt) != 32 || Person(d.Token) != x.doc.Eng.Sub:
		return no(session.Denied, "The engineer's proof does not belong to this key.")
	case !x.keys[d.Key] && len(x.keys) >= 4:
		return no(session.Refused, "Four keys have joined.")
	}
	x.keys[d.Key] = true
	return a.yes(link.Verdict{})
}

func (a *Agents) hold(d link.Deliver) link.Verdict {
	id, err := session.ParseSessionID(d.ID)
	x := a.session(id.Text())
	if err != nil || x == nil || d.By == nil || d.By.Sub == "" {
		return no(session.Invalid, "That names no session, or nobody holds it.")
	}
	x.frozen = d.Kind == link.DeliverFreeze
	return link.Verdict{OK: true}
}

// watch takes the word of a hospital's person, and of nobody else.
func (a *Agents) watch(d link.Deliver) link.Verdict {
	id, err := session.ParseSessionID(d.ID)
	if who := Person(d.Token); err != nil || a.session(id.Text()) == nil || who == "" || who == a.session(id.Text()).doc.Eng.Sub || len(d.Salt) != 32 || d.By != nil {
		return no(session.Denied, "That does not let anybody watch.")
	}
	until := time.Now().Add(grant.WatchTime)
	return a.yes(link.Verdict{Until: &until})
}

func (a *Agents) disable(d link.Deliver) link.Verdict {
	if d.By == nil || d.By.Sub == "" || d.By.Iss == "" {
		return no(session.Invalid, "That names no engineer.")
	}
	for _, x := range a.entries {
		if x.doc.Eng == d.By.Identity {
			x.closed = true
		}
	}
	return link.Verdict{OK: true}
}

func (a *Agents) yes(v link.Verdict) link.Verdict {
	v.OK = true
	if a.Now != nil {
		now := a.Now()
		v.Received = &now
	}
	return v
}

func no(kind session.Kind, message string) link.Verdict {
	return link.Verdict{Kind: kind, Message: message, Next: "Ask the agent's page."}
}

// Entry is where a request stands in the agent's ledger.
type Entry struct {
	Known, Admitted, Closed bool
	Granted                 int // grants that were ever admitted for it
	GID                     string
	Keys                    int
	Frozen                  bool
	Until                   int64 // seconds from the session's start
}

// Entry looks a request up.
func (a *Agents) Entry(id string) Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	rid, _ := session.ParseRequestID(id) // what is none has no entry
	x := a.entries[rid.Text()]
	if x == nil {
		return Entry{}
	}
	return Entry{Known: true, Admitted: x.admitted, Closed: x.closed, Granted: len(x.gids), GID: x.gid,
		Keys: len(x.keys), Frozen: x.frozen, Until: x.until}
}

// Arrived is what arrived so far.
func (a *Agents) Arrived() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.Log...)
}

// Token is a test token of a person; each is its own.
func Token(sub string) string { return "e30." + sub + "." + session.NewID().Text() }

// Person is whose test token it is.
func Person(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	var claims struct {
		Sub string `json:"sub"`
	}
	if body, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(body, &claims) == nil {
		return claims.Sub
	}
	return parts[1]
}

// ProofIn is a test proof of a person whose token names groups.
func ProofIn(sub string, groups ...string) grant.Proof {
	p := Proof(sub)
	body, _ := json.Marshal(map[string]any{"sub": sub, "groups": groups})
	p.Token = "e30." + base64.RawURLEncoding.EncodeToString(body) + "." + session.NewID().Text()
	return p
}

// NewKey is a public key line that was not there before.
func NewKey() string {
	id := session.NewID()
	return session.KeyLine(ed25519.NewKeyFromSeed(append(id[:], id[:]...)).Public().(ed25519.PublicKey))
}

// Extension asks for a session of a request to last maxs seconds from its start.
func Extension(parent grant.Request, of session.ID, maxs int64, until, now time.Time) grant.Request {
	r := parent
	r.RID, r.Kind, r.Parent, r.Key = session.NewID().Text(), grant.KindExtension, of.Text(), ""
	r.NBF, r.EXP, r.MaxS, r.Reason = now.Unix(), until.Unix(), maxs, "not done yet"
	return r
}

// Proof is a test proof of a person.
func Proof(sub string) grant.Proof {
	salt := sha256.Sum256([]byte(sub))
	return grant.Proof{Token: Token(sub), Salt: salt[:]}
}

// Request is a request for recon-ssh of a scanner for half an hour within four.
func Request(eng session.Identity, site, asset string, now time.Time) grant.Request {
	id := session.NewID()
	pub := ed25519.NewKeyFromSeed(append(id[:], id[:]...)).Public().(ed25519.PublicKey)
	return grant.Request{
		V: 1, Typ: "sallyport-request", RID: id.Text(), Kind: "session", Site: site, Asset: asset,
		Services: []string{"recon-ssh"}, Class: session.NonDisruptive, Channels: []session.Channel{session.Exec, session.Shell},
		NBF: now.Unix(), EXP: now.Add(4 * time.Hour).Unix(), MaxS: 1800, Eng: eng, Key: session.KeyLine(pub),
		Reason: "tube arcs", Ref: "WO-1",
	}
}

// Grant is the widest grant of a request.
func (a *Agents) Grant(request []byte) grant.Grant {
	var r grant.Request
	_ = json.Unmarshal(request, &r)
	return grant.Grant{V: 1, Typ: "sallyport-grant", GID: session.NewID().Text(), Req: RequestHash(request), Site: r.Site,
		Agent: a.Fingerprint(), Asset: r.Asset, Services: r.Services, Class: r.Class, Channels: r.Channels,
		NBF: r.NBF, EXP: r.EXP, MaxS: r.MaxS, Obl: []string{"record"}}
}

// Bytes are a document's exact bytes.
func Bytes(doc any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(doc)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// RequestHash is qh in hex.
func RequestHash(request []byte) string {
	sum := sha256.Sum256(append([]byte("sallyport/request/v1\x00"), request...))
	return hex.EncodeToString(sum[:])
}
