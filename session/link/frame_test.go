package link

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var allVerbs = []verb{
	verbRole, verbHello, verbPing, verbDeliver, verbOpen, verbEnd,
	verbVerdict, verbReport, verbPut, verbEnrol, verbIssued, verbAck,
}

const aSecret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// samples is one message, or a few, of every verb as the wire carries it.
func samples() map[verb][]any {
	at := time.Date(2026, 11, 3, 9, 30, 0, 123456000, time.UTC)
	return map[verb][]any{
		verbRole: {
			Role{V: 1, Role: RoleControl}, Role{V: 1, Role: RoleStream, Token: aSecret},
			Role{V: 1, Role: RoleRelay, Issuer: "https://idp.hospital.example/realms/a?b=<c>&d"},
		},
		verbHello: {Hello{
			V: 1, Site: "NGH", Agent: "ngh-1", Identity: "ssh-ed25519 AAAA", Boot: "b", Version: "1.0",
			Assets: []session.Asset{{
				Name: "NGH-PETCT1", Label: "Helion 64 \u2028 größer", Modality: "PT/CT",
				Services: []session.Service{{Name: "recon-ssh", Endpoint: "recon", Protocol: session.SSH, Port: 22, Class: session.NonDisruptive}},
				Policy:   session.Policy{Approvals: 1, Longest: 8 * time.Hour, Channels: session.Channels()},
			}},
		}, Hello{}},
		verbDeliver: {
			Deliver{Kind: DeliverRequest, Request: []byte(`{"v":1}`), Token: "a.b.c", Salt: bytes.Repeat([]byte{1}, 32)},
			Deliver{Kind: DeliverWithdraw, ID: session.ID{1}.Request()},
			Deliver{Kind: DeliverThaw, ID: session.ID{1}.Session(), By: &session.Person{Email: "a@b.example"}},
		},
		verbOpen: {
			Open{Token: aSecret, Node: "node1", Asset: "NGH-PETCT1", Service: "recon-ssh", Peer: "[2001:db8::1]:4711", Door: DoorSSH},
			Open{Token: aSecret, Node: "node1", Asset: "NGH-PETCT1", Service: "recon-ssh", Door: DoorAttach}, Open{Token: aSecret, Node: "node1", Asset: "NGH-PETCT1", Service: "console-vnc", Door: DoorTLS}},
		verbEnd: {End{Session: session.ID{1}.Session(), Reason: session.KilledRemote, By: session.Person{Email: "a@b.example", Name: "Ada"}}},
		verbVerdict: {
			Verdict{OK: true, Admitted: true, Count: 2, Needed: 2, Received: &at},
			Verdict{Kind: session.Refused, Message: "No.", Next: "Ask again."},
		},
		verbReport: {SessionReport{
			Session: session.ID{1}.Session(), Request: session.ID{2}.Request(), Seq: 7, Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH,
			Opened: at, Deadline: at.Add(time.Hour), Ended: at.Add(time.Minute), Reason: session.Completed,
			Recordings: []RecordingReport{{Recording: session.ID{3}.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: at}},
		}, SessionReport{Passkey: &Passkey{Name: "K-3f9a0c7712be", Owner: session.Identity{Iss: "https://idp.ngh.example", Sub: "okafor"}, Host: "console.ngh.example", Since: at, Until: at}},
			SessionReport{Assets: []session.AssetStanding{{Asset: "NGH-CT2"}, {Asset: "NGH-PETCT1", Standing: &session.Standing{State: session.Scanning,
				Source: "mpps", Detail: "in progress", Shut: "off", At: at, Until: at, Since: at, Works: map[session.Class][]session.ModalityState{session.Disruptive: {session.InService}}}}}}},
		verbPut:    {Put{Recording: session.ID{3}.Recording(), Part: "000001.seg", Size: 1 << 20, SHA256: strings.Repeat("ab", 32)}},
		verbEnrol:  {Enrolment{Secret: aSecret, CSR: []byte{0x30, 0}, Identity: "ssh-ed25519 AAAA", Proof: make([]byte, 64)}, Enrolment{CSR: []byte{1}}},
		verbIssued: {Chain{Certificate: []byte{0x30, 1}, CA: []byte{0x30, 2}}},
		verbAck:    {Ack{Time: at}, Ack{Time: at, Kind: session.Refused, Conflict: true, Message: "No.", Next: "Stop."}},
	}
}

// reread decodes a payload as its verb asks and spells it out again.
func reread(v verb, b []byte) ([]byte, error) {
	switch v {
	case verbRole:
		return again(decode[Role](b))
	case verbHello:
		return again(decode[Hello](b))
	case verbDeliver:
		return again(decode[Deliver](b))
	case verbOpen:
		return again(decode[Open](b))
	case verbEnd:
		return again(decode[End](b))
	case verbVerdict:
		return again(decode[Verdict](b))
	case verbReport:
		return again(decode[SessionReport](b))
	case verbPut:
		return again(decode[Put](b))
	case verbEnrol:
		return again(decode[Enrolment](b))
	case verbIssued:
		return again(decode[Chain](b))
	case verbAck:
		return again(decode[Ack](b))
	}
	return nil, errFrame
}

func again[T any](m T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if c, ok := any(m).(interface{ check() error }); ok {
		_ = c.check() // must not panic, whatever it says
	}
	return encode(m)
}

func TestTheWireHasTwelveVerbsAndNoMore(t *testing.T) {
	known := 0
	for v := range 256 {
		if _, ok := largest(verb(v)); ok {
			known++
		}
	}
	if known != 12 || known != len(allVerbs) {
		t.Errorf("%d verbs", known)
	}
	for _, v := range allVerbs {
		if _, ok := samples()[v]; !ok && v != verbPing {
			t.Errorf("verb %d has no sample", v)
		}
	}
}

func TestMessagesRoundTripInTheirFrames(t *testing.T) {
	for v, messages := range samples() {
		for _, m := range messages {
			payload, err := encode(m)
			if err != nil {
				t.Fatal(err)
			}
			wire := frame{verb: v, id: 7, payload: payload}.append(nil)
			f, err := readFrame(bytes.NewReader(wire), v)
			if err != nil || f.id != 7 {
				t.Fatalf("verb %d: %v", v, err)
			}
			if got, err := reread(v, f.payload); err != nil || !bytes.Equal(got, payload) {
				t.Errorf("verb %d: %s came back as %s, %v", v, payload, got, err)
			}
			for cut := range wire {
				if _, err := readFrame(bytes.NewReader(wire[:cut]), v); err == nil {
					t.Errorf("verb %d cut at %d is still a frame", v, cut)
				}
			}
		}
	}
}

func TestBrokenTextTravelsAsReplacement(t *testing.T) {
	b, err := encode(Verdict{Message: "half a rune \xc3 and a literal \\ufffd"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := decode[Verdict](b)
	if err != nil || v.Message != "half a rune \ufffd and a literal \\ufffd" {
		t.Errorf("%q, %v", v.Message, err)
	}
}

func TestOtherSpellingsAreRefused(t *testing.T) {
	for name, payload := range map[string]string{
		"empty":            ``,
		"null":             `null`,
		"unknown field":    `{"token":"","node":"","asset":"","service":"","door":"","address":"10.0.0.1"}`,
		"repeated field":   `{"token":"","node":"a","node":"b","asset":"","service":"","door":""}`,
		"no door":          `{"token":"","node":"","asset":"","service":""}`,
		"case":             `{"Token":"","node":"","asset":"","service":"","door":""}`,
		"order":            `{"node":"","token":"","asset":"","service":"","door":""}`,
		"missing":          `{"token":"","node":"","asset":"","door":""}`,
		"space":            `{"token":"","node":"","asset":"","service":"","door":"" }`,
		"escape":           `{"token":"","node":"\u0061","asset":"","service":"","door":""}`,
		"trailing":         `{"token":"","node":"","asset":"","service":"","door":""}x`,
		"two values":       `{"token":"","node":"","asset":"","service":"","door":""}{}`,
		"explicit empty":   `{"token":"","node":"","asset":"","service":"","peer":"","door":""}`,
		"number as string": `{"token":1,"node":"","asset":"","service":"","door":""}`,
		"array":            `[]`,
		"broken UTF-8":     "{\"token\":\"\xff\",\"node\":\"\",\"asset\":\"\",\"service\":\"\",\"door\":\"\"}",
	} {
		if m, err := decode[Open]([]byte(payload)); !errors.Is(err, errFrame) || m != (Open{}) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestWhatIsTooLargeIsNeitherSentNorRead(t *testing.T) {
	for _, v := range allVerbs {
		limit, _ := largest(v)
		f := framer{}
		if err := f.writePayload(v, 1, make([]byte, limit+1)); err == nil {
			t.Errorf("verb %d was sent with %d bytes", v, limit+1)
		}
		wire := frame{verb: v, payload: make([]byte, limit+1)}.append(nil)
		r := bytes.NewReader(wire)
		if _, err := readFrame(r, v); !errors.Is(err, errFrame) {
			t.Errorf("verb %d was read with %d bytes: %v", v, limit+1, err)
		}
		if r.Len() != limit+1 {
			t.Errorf("verb %d: %d bytes were read before the refusal", v, limit+1-r.Len())
		}
	}
}

func FuzzFrame(f *testing.F) {
	for v, messages := range samples() {
		for _, m := range messages {
			payload, err := encode(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(frame{verb: v, id: 1, payload: payload}.append(nil))
		}
	}
	f.Add(frame{verb: verbPing}.append(nil))
	f.Add([]byte{1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		got, err := readFrame(r, allVerbs...)
		if err != nil {
			if got.payload != nil || got.verb != 0 {
				t.Error("an error with a frame")
			}
			return
		}
		if limit, _ := largest(got.verb); len(got.payload) > limit {
			t.Errorf("verb %d with %d bytes", got.verb, len(got.payload))
		}
		if !bytes.Equal(got.append(nil), b[:len(b)-r.Len()]) {
			t.Error("the frame does not spell out as it was read")
		}
	})
}

func FuzzPayload(f *testing.F) {
	for v, messages := range samples() {
		for _, m := range messages {
			payload, err := encode(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(v), payload)
		}
	}
	f.Fuzz(func(t *testing.T, v byte, b []byte) {
		if got, err := reread(verb(v), b); err == nil && !bytes.Equal(got, b) {
			t.Errorf("%q was taken for %q", b, got)
		}
	})
}

func FuzzJoinToken(f *testing.F) {
	text, err := JoinToken{
		Site: "NGH", Agent: "ngh-1", CA: strings.Repeat("ab", 32), Secret: aSecret,
		Nodes: []Node{{Name: "node1", Address: "broker.example:443"}, {Name: "node2", Address: "[2001:db8::1]:443"}},
	}.Text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(joinPrefix + "e30")
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := ParseJoinToken(s)
		if err != nil {
			if strings.Contains(err.Error(), s) && len(s) > 20 {
				t.Error("the error repeats the token")
			}
			return
		}
		if back, err := parsed.Text(); err != nil || back != s {
			t.Errorf("%q is also spelled %q, %v", s, back, err)
		}
	})
}

func FuzzAgentURI(f *testing.F) {
	f.Add(AgentURI("NGH", "ngh-1").String())
	f.Add("spiffe://sallyport/site/a/agent/b/agent/c")
	f.Add("spiffe://sallyport/site/a%2fagent/agent/b")
	f.Fuzz(func(t *testing.T, s string) {
		site, agent, err := parseAgentURI(s)
		if err == nil && AgentURI(site, agent).String() != s {
			t.Errorf("%q was taken for %s of %s", s, agent, site)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	w := newWorld(f)
	f.Add(w.agent.Certificate[0])
	f.Add(w.node("node1").Certificate[0])
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if p, err := PeerOf(c); err == nil && (!session.ValidName(p.Site) || !session.ValidName(p.Agent)) {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzCSR(f *testing.F) {
	w := newWorld(f)
	csr, err := makeCSR(w.agentKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr)
	f.Fuzz(func(t *testing.T, der []byte) {
		if r, err := CheckCSR(der); err == nil && !isP256(r.PublicKey) {
			t.Error("a key of another kind")
		}
		_, _ = CheckProof("ssh-ed25519 AAAA", der, der)
	})
}

func TestABodyThatIsNotWhatWasAnnounced(t *testing.T) {
	f := &framer{conn: script("abc")}
	if err := sendBody(f, io.LimitReader(strings.NewReader("abc"), 3), 4); !errors.Is(err, errBody) {
		t.Errorf("a short body: %v", err)
	}
}
