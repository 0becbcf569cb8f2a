package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/passkey"
	"github.com/sallyport/sallyport/session/passkey/passkeytest"
)

// TestMain lets scripts run the command: the test binary is "sallyport" to them.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sallyport": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Environ(), now: time.Now, format: paperFormat{}}
		if at, err := time.Parse(time.RFC3339, os.Getenv("TEST_NOW")); err == nil {
			p.now = func() time.Time { return at }
		}
		os.Exit(p.run(ctx, os.Args[1:]))
	}})
}

// scene is what a script stands in.
type scene struct {
	broker           *broker
	vendor, hospital *provider
	passkey          *passkeytest.Device // of the agent's page, approver2's by the trust bundle
}

// page is the agent's own.
const page = "https://console.ngh.example:8443"

// presses gives a request's pinned grant the approval of a passkey, in place of all others.
func (w *scene) presses(s *stored, doc []byte) error {
	at, err := passkey.At(page)
	if err != nil {
		return err
	}
	key, err := w.registered()
	if err != nil {
		return err
	}
	key.Count = w.passkey.Count
	answer := w.passkey.Answer(passkey.Challenge(doc))
	count, err := at.Check(key, passkey.Challenge(doc), answer)
	if err != nil {
		return err
	}
	said := grant.Assertion{Page: at.Origin(), Key: key, Answer: answer, Count: count, At: day(12, 15)}
	s.docs.Approvals = []access.Approval{{Passkey: said.Bytes()}}
	return nil
}

// registered is the key as the agent keeps it.
func (w *scene) registered() (passkey.Key, error) {
	at, err := passkey.At(page)
	if err != nil {
		return passkey.Key{}, err
	}
	client, attestation := w.passkey.Register([32]byte{1})
	return at.Register([32]byte{1}, client, attestation)
}

type sceneKey struct{}

func TestStories(t *testing.T) {
	found, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(found) < 10 {
		t.Fatalf("only %d stories found: %v", len(found), err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_STORIES") != "",
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": wantStatus, "broker": tellBroker, "idp": tellProvider, "id": keepID, "clean": wantClean, "wait-for": waitFor, "mode": wantMode,
		},
	})
}

func setup(env *testscript.Env) error {
	w := &scene{broker: newBroker(), vendor: newProvider(), hospital: newProvider(), passkey: passkeytest.New("console.ngh.example", page)}
	env.Defer(func() { w.broker.Close(); w.vendor.Close(); w.hospital.Close() })
	env.Values[sceneKey{}] = w
	agent := ed25519.NewKeyFromSeed([]byte("an agent's seed of 32 bytes, yes"))
	bundle := session.Trust{V: 1, Site: "NGH", Agent: "ngh-agent", Identity: session.KeyLine(agent.Public().(ed25519.PublicKey)), Issuers: []session.Issuer{
		{URL: w.vendor.URL, Side: session.VendorSide, Domains: []string{"meridian.example"}, Login: "sallyport-cli", InsecureLoopback: true,
			Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI, "sallyport-web": session.Web}},
		{URL: w.hospital.URL, Side: session.HospitalSide, Domains: []string{"northfield.example"}, Login: "sallyport-cli", InsecureLoopback: true,
			Clients: map[string]session.ClientClass{"sallyport-console": session.Console, "sallyport-web": session.Web}},
	}}
	key, err := w.registered()
	if err != nil {
		return err
	}
	bundle.ConsoleKeys = []session.ConsoleKey{{ID: key.ID, Public: key.Public, Host: "console.ngh.example", Owner: session.Identity{Iss: w.hospital.URL, Sub: "approver2"}, Since: day(8, 0)}}
	data, err := json.MarshalIndent(bundle, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(env.WorkDir, "ngh.json"), data, 0o600); err != nil {
		return err
	}
	for _, name := range []string{"engineer", "approver", "approver2", "auditor"} {
		dir := filepath.Join(env.WorkDir, name)
		if err := os.MkdirAll(filepath.Join(dir, "trust.d"), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "trust.d", "NGH.json"), data, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(fmt.Sprintf(`{"broker": %q}`, w.broker.URL)), 0o600); err != nil {
			return err
		}
	}
	env.Setenv("BROKER", w.broker.URL)
	env.Setenv("VENDOR", w.vendor.URL)
	env.Setenv("HOSPITAL", w.hospital.URL)
	env.Setenv("SALLYPORT_HOME", filepath.Join(env.WorkDir, "engineer"))
	env.Setenv("BROWSER", "curl -sSLo /dev/null")
	env.Setenv("TZ", "UTC")
	return nil
}

// status N CMD ARGS runs a command and wants exactly this exit status.
func wantStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command args")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		var coder interface{ ExitCode() int }
		if c, ok := err.(interface{ ExitCode() int }); ok {
			coder = c
			got = fmt.Sprint(coder.ExitCode())
		} else {
			ts.Fatalf("%v", err)
		}
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

// broker WORD changes what the broker does.
func tellBroker(ts *testscript.TestScript, _ bool, args []string) {
	b := ts.Value(sceneKey{}).(*scene)
	b.broker.mu.Lock()
	defer b.broker.mu.Unlock()
	switch args[0] {
	case "needs-two":
		b.broker.needed = 2
	case "twin":
		b.broker.twin = true
	case "hostile":
		b.broker.hostile = true
	case "swaps-documents":
		b.broker.swap = !b.broker.swap
	case "forgets-logins":
		b.broker.people = map[string]session.Person{}
	case "widens-grant": // as if an approver before had allowed more than was asked
		s := b.broker.requests[0]
		g, err := grant.ParseGrant(s.docs.Grant)
		ts.Check(err)
		g.MaxS *= 2
		s.kept = s.docs.Grant
		s.docs.Grant, err = g.Marshal()
		ts.Check(err)
	case "restores-grant":
		b.broker.requests[0].docs.Grant = b.broker.requests[0].kept
	case "swaps-approvals": // as if an engineer's sign-in were an approver's, for the newest request or the one that is named
		s := b.broker.requests[len(b.broker.requests)-1]
		if len(args) > 1 {
			s, _ = b.broker.find(args[1])
		}
		s.approved = slices.Clone(s.docs.Approvals)
		for i := range s.docs.Approvals {
			s.docs.Approvals[i].Token = s.docs.Token
		}
	case "passkey-approves": // on the agent's page, and by nobody else: a request, or the words of another document
		s, _ := b.broker.find(args[1])
		s.approved = slices.Clone(s.docs.Approvals)
		doc := s.docs.Grant
		if len(args) > 2 {
			doc = []byte(args[2])
		}
		ts.Check(b.presses(s, doc))
	case "restores-approvals":
		for _, s := range b.broker.requests {
			if s.approved != nil {
				s.docs.Approvals = s.approved
			}
		}
	case "session-lies": // when it ends, and when it began
		for i, clock := range args[1:] {
			at, err := time.Parse("15:04", clock)
			ts.Check(err)
			*[]*time.Time{&b.broker.sessions[0].Deadline, &b.broker.sessions[0].Opened}[i] = day(at.Hour(), at.Minute())
		}
	case "at": // the story's clock
		at, err := time.Parse(time.RFC3339, args[1])
		ts.Check(err)
		b.broker.at = at
		ts.Setenv("TEST_NOW", args[1])
	case "zone":
		b.broker.zone = args[1]
	case "quorum":
		b.broker.needed = len(args) - 1
		for _, group := range args[1:] {
			b.broker.quorum = append(b.broker.quorum, session.Quorum{Group: group, Count: 1})
		}
	case "crowd": // newer requests and sessions, all over
		for i := range 2000 {
			id := session.ID{9, byte(i >> 8), byte(i)}
			b.broker.requests = append(b.broker.requests, &stored{view: api.Request{ID: id.Request(), Status: session.Withdrawn, Site: "NGH", Asset: "NGH-PETCT1", Services: []string{"recon-ssh"}}})
			b.broker.sessions = append([]api.Session{{ID: id.Session(), State: session.Ended, Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Request: id.Request()}}, b.broker.sessions...)
		}
	case "away":
		b.broker.away = true
	case "session-of": // the session of a request that was approved
		s, refused := b.broker.find(args[1])
		if refused != nil {
			ts.Fatalf("%s", refused.text)
		}
		ts.Setenv("SES", *s.view.Grant)
		b.broker.sessions = []api.Session{{ID: *s.view.Grant, State: session.Live, Target: "NGH/NGH-PETCT1/recon-ssh", Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH, Engineer: s.view.Engineer.Email,
			Opened: day(12, 16), Deadline: day(12, 46), Recordings: []string{}, Request: s.view.ID, Frozen: []string{}, Keys: 2}}
	case "session":
		b.broker.sessions = []api.Session{{ID: session.ID{1}.Session(), State: session.Live, Target: "NGH/NGH-PETCT1/recon-ssh", Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH, Engineer: "jana@meridian.example\x1b[2J",
			Opened: day(12, 1), Deadline: day(12, 31), Recordings: []string{session.ID{2}.Recording()}, Request: session.ID{3}.Request(), Frozen: []string{}}}
	case "recording":
		ended := day(12, 9)
		b.broker.listed = append(b.broker.listed, api.Recording{ID: session.ID{2}.Recording(), Session: session.ID{1}.Session(), State: args[1], Target: "NGH/NGH-PETCT1/recon-ssh", Site: "NGH", Asset: "NGH-PETCT1",
			Service: "recon-ssh", Protocol: session.SSH, Engineer: "jana@meridian.example", Started: day(12, 2), Ended: &ended, Bytes: 48213})
		b.broker.recordings[session.ID{2}.Recording()] = paper(args[2], paperEvents()...)
	default:
		ts.Fatalf("the broker does not know %q", args[0])
	}
}

func day(h, m int) time.Time { return time.Date(2026, 11, 23, h, m, 0, 0, time.UTC) }

func paperEvents() []session.Event {
	return []session.Event{
		{At: 0, Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":80,"rows":24}`)},
		{At: 1000, Kind: session.Output, Stream: 1, Data: []byte("recon> swversion\r\nVG60B\r\n\x1b[31mred\x1b[0m \x1b]52;c;ZXZpbA==\x07\x1b[6n\x1bP$qm\x1b\\done")},
		{At: 2000, Kind: session.Input, Stream: 1, Data: []byte("secret")},
		{At: 3000, Kind: session.NotAllowed, Stream: 1, Data: []byte(`{"what":"x11-req","detail":"\u001b[2J"}`)},
		{At: 4000, Kind: session.FileClosed, Stream: 2, Data: []byte(`{"path":"/tmp/log.tgz","direction":"files-out","size":12,"sha256":"ab"}`)},
		{At: 65000000, Kind: session.Exit, Stream: 1, Data: []byte(`{"status":0}`)},
	}
}

// idp SIDE WORD makes an identity provider misbehave.
func tellProvider(ts *testscript.TestScript, _ bool, args []string) {
	w := ts.Value(sceneKey{}).(*scene)
	p := w.vendor
	if args[0] == "hospital" {
		p = w.hospital
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if hint, other, ok := strings.Cut(args[1], "="); ok {
		p.stand[hint] = other
		return
	}
	p.evil = args[1]
}

// id NAME keeps the first R- id of the last output in a variable.
func keepID(ts *testscript.TestScript, _ bool, args []string) {
	for _, word := range strings.FieldsFunc(ts.ReadFile("stdout"), func(r rune) bool { return strings.ContainsRune(" \n\t\",", r) }) {
		if _, err := session.ParseRequestID(word); err == nil {
			ts.Setenv(args[0], word)
			return
		}
	}
	ts.Fatalf("no request id in the output")
}

// clean FILE ... wants nothing in it that drives a terminal.
func wantClean(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		for _, r := range ts.ReadFile(name) {
			if r != '\n' && (r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x202e) {
				ts.Fatalf("%s carries %U", name, r)
			}
		}
	}
}

// wait-for FILE TEXT waits until a file that a background command writes has a text.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		data, _ := os.ReadFile(ts.MkAbs(args[0]))
		if strings.Contains(string(data), args[1]) {
			return
		}
		time.Sleep(5 * time.Millisecond) // polls a file of another process; the text decides, not the time
	}
	ts.Fatalf("%s never said %q", args[0], args[1])
}

// mode OCTAL FILE ... wants these permissions.
func wantMode(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s", name, got)
		}
	}
}
