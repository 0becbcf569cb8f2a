package exchange_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	jose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Both keys are made once: making them is slow.
var providers = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = k
	}
	return keys
})

const (
	vendor   = "https://idp.meridian.example"
	hospital = "https://idp.northfield.example"
)

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// scene is a hospital, its agent, a broker, and one session with its recording.
type scene struct {
	t      testing.TB
	agent  ed25519.PrivateKey
	broker ed25519.PrivateKey
	header recordings.Header
	papers exchange.Papers
	dir    string
	heads  []witness.Head
	parts  contents
}

// contents are the pieces of a pack, to be changed and put together again.
type contents struct {
	recording                     [][]byte // header, segments, seal
	papers, list, receipts, audit []byte
	receipt                       []witness.Receipt
}

func newKey(t testing.TB) ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newScene records a session of a few segments and has it countersigned.
func newScene(t testing.TB) *scene {
	t.Helper()
	return sceneWith(t, newKey(t), newKey(t))
}

func sceneWith(t testing.TB, agent, broker ed25519.PrivateKey) *scene {
	t.Helper()
	s := &scene{t: t, agent: agent, broker: broker, dir: filepath.Join(t.TempDir(), "rec")}
	s.agree()
	s.record("tube arcs at 120 kV\r\n")
	s.close()
	return s
}

func (s *scene) fingerprint() string {
	return session.Fingerprint(s.agent.Public().(ed25519.PublicKey))
}

// trust is the hospital's bundle.
func (s *scene) trust() session.Trust {
	return session.Trust{
		V: 1, Site: "NGH", Agent: "ngh-1", Identity: session.KeyLine(s.agent.Public().(ed25519.PublicKey)),
		Nodes: session.Nodes{{Origin: "broker.example", Key: session.KeyLine(s.broker.Public().(ed25519.PublicKey))}},
		Issuers: []session.Issuer{
			{URL: vendor, Side: session.VendorSide, Domains: []string{"example.org"}, Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI}},
			{URL: hospital, Side: session.HospitalSide, Domains: []string{"example.org"}, Clients: map[string]session.ClientClass{"sallyport-console": session.Console}},
		},
	}
}

// agree makes the documents and the tokens over them.
func (s *scene) agree() {
	r := grant.NewRequest()
	r.Site, r.Asset, r.Services, r.Class = "NGH", "NGH-PETCT1", []string{"recon-ssh"}, session.NonDisruptive
	r.Channels = []session.Channel{session.Exec, session.Shell}
	r.NBF, r.EXP, r.MaxS = start.Unix(), start.Unix()+3600, 1800
	r.Eng, r.Reason, r.Ref = session.Identity{Iss: vendor, Sub: "eva"}, "tube arcs", "WO-1"
	r.Key = session.KeyLine(s.agent.Public().(ed25519.PublicKey))
	request, err := r.Marshal()
	must(s.t, err)
	qh := grant.RequestHash(request)
	g := grant.NewGrant()
	g.Req, g.Site, g.Agent, g.Asset, g.Services = hex.EncodeToString(qh[:]), r.Site, s.fingerprint(), r.Asset, r.Services
	g.Class, g.Channels, g.NBF, g.EXP, g.MaxS = r.Class, r.Channels, r.NBF, r.EXP, r.MaxS
	granted, err := g.Marshal()
	must(s.t, err)
	salt := grant.NewSalt()
	engineer := s.receipt(grant.RoleRequest, vendor, "eva", "sallyport-cli", session.GroupEngineers, grant.RequestNonce(request, salt), salt, qh)
	salt = grant.NewSalt()
	approver := s.receipt(grant.RoleApprove, hospital, "anna", "sallyport-console", session.GroupApprovers,
		grant.ApproveNonce(granted, engineer.Proof.Token, salt), salt, grant.GrantHash(granted))
	gh := grant.GrantHash(granted)
	rid, _ := session.ParseText(r.RID)
	gid, _ := session.ParseText(g.GID)
	s.header = recordings.Header{
		Recording: session.NewID().Recording(), Session: gid.Session(), Request: rid.Request(), GrantHash: hex.EncodeToString(gh[:]),
		Site: "NGH", Agent: s.fingerprint(), Asset: r.Asset, Service: "recon-ssh", Protocol: session.SSH,
		Engineer: engineer.Person, Approvers: []session.Person{approver.Person}, WorkOrder: r.Ref, Started: start,
	}
	s.papers = exchange.Papers{V: 1, Recording: s.header.Recording, Session: s.header.Session, Request: request, Grant: granted,
		Engineer: engineer, Approvers: []grant.Receipt{approver}}
}

// receipt signs somebody in and keeps of it what the agent would.
func (s *scene) receipt(role grant.Role, iss, sub, client, group, nonce string, salt, subject [32]byte) grant.Receipt {
	key, class := providers()[0], session.CLI
	if role == grant.RoleApprove {
		key, class = providers()[1], session.Console
	}
	at := start.Add(time.Minute)
	claims, err := json.Marshal(map[string]any{"iss": iss, "aud": client, "sub": sub, "nonce": nonce, "groups": []string{group},
		"email": sub + "@example.org", "name": sub, "iat": at.Unix(), "exp": at.Unix() + 300, "auth_time": at.Unix() - 5})
	must(s.t, err)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: "k1", Use: "sig"})
	must(s.t, err)
	return grant.Receipt{
		Role: role, Proof: grant.Proof{Token: signToken(s.t, key, claims), Salt: salt[:]}, Received: at.Add(time.Second),
		Person: session.Person{Identity: session.Identity{Iss: iss, Sub: sub}, Email: sub + "@example.org", Name: sub},
		Client: class, IssuedAt: at, AuthTime: at.Add(-5 * time.Second), KeyID: "k1", Key: jwk, Subject: subject,
	}
}

func signToken(t testing.TB, key *rsa.PrivateKey, claims []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(`{"alg":"RS256","kid":"k1"}`)) + "." + b64(claims)
	digest := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	must(t, err)
	return input + "." + b64(sig)
}

// record makes the recording, a head after every event.
func (s *scene) record(said string) {
	input, err := age.GenerateX25519Identity()
	must(s.t, err)
	heads := make(chan witness.Head, 1)
	w, err := recordings.Create(s.dir, s.header, recordings.Options{Signer: s.agent, InputRecipient: input.Recipient().String(),
		SegmentBytes: 600, HeadEvery: time.Nanosecond, OnHead: func(h witness.Head) { heads <- h }})
	must(s.t, err)
	s.heads = nil
	for _, e := range []session.Event{
		{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm"}`)},
		{Kind: session.Input, Stream: 1, Data: []byte("evlog\r")},
		{Kind: session.Output, Stream: 1, Data: []byte(said)},
		{Kind: session.Output, Stream: 1, Data: []byte(strings.Repeat("x", 300))},
		{Kind: session.ChannelClosed, Stream: 1},
	} {
		must(s.t, w.Record(e))
		s.heads = append(s.heads, <-heads)
	}
	must(s.t, w.Close(session.Completed))
}

// close puts the pieces together as agent and broker would.
func (s *scene) close() {
	s.parts = contents{}
	segments, err := filepath.Glob(filepath.Join(s.dir, "seg-*"))
	must(s.t, err)
	for _, n := range slices.Concat([]string{recordings.HeaderPart}, segments, []string{recordings.SealPart}) {
		b, err := os.ReadFile(filepath.Join(s.dir, filepath.Base(n)))
		must(s.t, err)
		s.parts.recording = append(s.parts.recording, b)
	}
	s.parts.papers, err = exchange.SignPapers(s.agent, s.papers)
	must(s.t, err)
	for i, h := range append(s.heads, s.closing()) {
		r, err := witness.Countersigned(s.broker, h, start.Add(time.Duration(i)*time.Second))
		must(s.t, err)
		s.parts.receipt = append(s.parts.receipt, r)
	}
	s.relist(s.parts.receipt)
}

// relist has the agent sign its list anew.
func (s *scene) relist(all []witness.Receipt) {
	var err error
	s.parts.list, err = witness.SignList(s.agent, s.id(), all)
	must(s.t, err)
}

func (s *scene) id() session.ID {
	id, err := session.ParseRecordingID(s.header.Recording)
	must(s.t, err)
	return id
}

func (s *scene) closing() witness.Head {
	seal, err := recordings.ReadSeal(s.parts.recording[len(s.parts.recording)-1])
	must(s.t, err)
	chain, err := hex.DecodeString(seal.Chain)
	must(s.t, err)
	h, err := witness.ClosingHead(s.id(), seal.Segments, [32]byte(chain), seal.At, seal.Ended.UnixMicro(), seal.Boot).Signed(s.agent)
	must(s.t, err)
	return h
}

// pack puts the pieces into one file, as the broker would.
func (s *scene) pack() []byte { return packed(s.t, s.parts, s.broker) }

func packed(t testing.TB, c contents, broker crypto.Signer) []byte {
	t.Helper()
	whole := bytes.Join(c.recording, nil)
	var b bytes.Buffer
	must(t, exchange.Write(&b, exchange.Contents{Recording: bytes.NewReader(whole), Size: int64(len(whole)),
		Papers: c.papers, Receipts: c.list, Countersigned: c.receipts, Audit: c.audit}, broker))
	return b.Bytes()
}

func verify(t testing.TB, file []byte, trust ...session.Trust) exchange.Result {
	t.Helper()
	return exchange.Verify(t.Context(), bytes.NewReader(file), int64(len(file)), trust)
}

// named checks that a forgery is found, and found for what it is.
func named(t testing.TB, what string, r exchange.Result, reason string) {
	t.Helper()
	if r.Result != recordings.VerdictTampered || r.Offset == nil || !strings.Contains(r.Reason, reason) {
		t.Errorf("%s: %s, %q; want tampered, %q", what, r.Result, r.Reason, reason)
	}
	if len(r.Explain()) < 2 {
		t.Errorf("%s is not explained: %q", what, r.Explain())
	}
}

func concat(receipts []witness.Receipt) []byte {
	var b []byte
	for _, r := range receipts {
		b = append(b, r.Bytes()...)
	}
	return b
}
