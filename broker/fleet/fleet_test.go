package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func sumHex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestWhatIsDeliveredIsAnswered(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	if !b.Online("NGH", "ngh-1") || b.Online("NGH", "ngh-2") || b.Online("OTHER", "ngh-1") {
		t.Error("Online does not tell who is connected")
	}
	if h := b.office.hellos; len(h) != 1 || h[0].Assets[0].Services[0].Name != "recon-ssh" {
		t.Errorf("the hello arrived as %+v", h)
	}
	d := link.Deliver{Kind: "request", Request: []byte(`{"v":1}`), Token: "a.b.c", Salt: bytes.Repeat([]byte{7}, 32)}
	v, err := b.Deliver(t.Context(), "NGH", "ngh-1", d)
	if err != nil || !v.OK || v.Needed != 2 {
		t.Fatalf("verdict %+v, %v", v, err)
	}
	if got := <-s.desk.delivered; string(got.Request) != `{"v":1}` || got.Token != d.Token {
		t.Errorf("delivered %+v", got)
	}
	v, err = b.End(t.Context(), "NGH", "ngh-1", link.End{Session: "S-x", Reason: session.KilledRemote})
	if err != nil || v.Message != "ended S-x" {
		t.Errorf("end: %+v, %v", v, err)
	}
	v, err = b.Deliver(t.Context(), "NGH", "ngh-1", link.Deliver{Kind: "update-yourself"})
	if err != nil || v.OK || v.Kind != session.Invalid {
		t.Errorf("an unknown kind of delivery: %+v, %v", v, err)
	}
}

func TestAnAgentThatIsNotThere(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	_, err := b.Deliver(t.Context(), "NGH", "ngh-1", link.Deliver{Kind: "request"})
	mustRefuse(t, err, session.Unreachable)
	var e *session.Error
	if !errors.As(err, &e) || e.Message != "The agent of site NGH is not connected." || e.Next == "" {
		t.Errorf("the error for people is %+v", e)
	}
	_, err = b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	mustRefuse(t, err, session.Unreachable)
	_, err = b.End(t.Context(), "NGH", "ngh-1", link.End{})
	mustRefuse(t, err, session.Unreachable)
}

func TestStreamsDialBackAndHalfClose(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	conn, err := b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, strings.Repeat("0123456789", 10_000))
	got := <-s.desk.streams
	if got.Token != "" || got.Node != "node1" || got.Asset != sshOpen.Asset || got.Peer != sshOpen.Peer {
		t.Errorf("the agent's handler saw %+v", got)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) != 0 || len(b.streams) != 0 {
		t.Errorf("%d tokens and %d streams are left", len(b.waiting), len(b.streams))
	}
}

// awaitSpares waits until the broker holds n spares of the agent.
func awaitSpares(t testing.TB, b *broker, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%d spares", n), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		a := b.agents[name{"NGH", "ngh-1"}]
		return a != nil && len(a.spares) == n
	})
}

// until polls what no channel tells.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestSparesAreUsedAndReplenished(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	s.KeepSpares(2)
	awaitSpares(t, b, 2)
	for i := range 5 {
		b.mu.Lock()
		before := len(b.streams)
		b.mu.Unlock()
		conn, err := b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
		if err != nil || before != 0 {
			t.Fatal(err, before)
		}
		echo(t, conn, fmt.Sprint("stream ", i))
		awaitSpares(t, b, 2)
	}
	if dials := len(s.dials); dials != 1+2+5 {
		t.Errorf("%d dials, want 1 control, 2 spares and 5 replacements: no stream was dialled back", dials)
	}
	s.KeepSpares(0)
	awaitSpares(t, b, 0)
	conn, err := b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, "without a spare")
}

func TestDeadSparesFallBackToDialBack(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	cert, err := s.issued.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		dialRaw(t, b, cert).say(1, `{"v":1,"role":"spare"}`)
	}
	awaitSpares(t, b, 2)
	mute := b.agents[name{"NGH", "ngh-1"}].spares
	for _, sp := range mute {
		sp.Close() // the agent's end is gone; the next Open may still find it in the pool
	}
	conn, err := b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, "dialled back")
}

func TestTwoHundredStreamsAtOnce(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	s.KeepSpares(2)
	const n = 200
	var wg sync.WaitGroup
	held := make(chan struct{})
	var open sync.WaitGroup
	open.Add(n)
	slots := make(chan struct{}, 32) // questions under way at a time
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			conn, err := b.Open(context.Background(), "NGH", "ngh-1", sshOpen)
			<-slots
			open.Done()
			if err != nil {
				t.Error(err)
				return
			}
			<-held // until all 200 are open
			if err := tryEcho(conn, fmt.Sprintf("stream %d %s", i, strings.Repeat("x", 20_000))); err != nil {
				t.Error(err)
			}
		})
	}
	open.Wait()
	close(held)
	wg.Wait()
}

func TestAStreamTokenWorksOnceInTimeForOneAgent(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	certOf := func(agent string) (*tls.Certificate, link.Peer) {
		cert, err := enrol(t, b, "NGH", agent, newIdentity(t)).Certificate()
		if err != nil {
			t.Fatal(err)
		}
		p, err := link.PeerOf(cert.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		return cert, p
	}
	mine, me := certOf("ngh-1")
	other, _ := certOf("ngh-2")
	again, _ := certOf("ngh-1") // the same name, enrolled again: another key
	offer := func() (string, *waiter) {
		token := newSecret()
		w := &waiter{name: nameOf(me), key: me.Key, expires: b.clock.now().Add(link.TokenTime), got: make(chan net.Conn, 1)}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.waiting[token] = w
		return token, w
	}
	present := func(token string, cert *tls.Certificate) *raw {
		r := dialRaw(t, b, cert)
		r.say(1, `{"v":1,"role":"stream","token":"`+token+`"}`)
		return r
	}
	t.Run("another agent's certificate", func(t *testing.T) {
		token, w := offer()
		present(token, other).mustBeClosed()
		present(token, again).mustBeClosed()
		present(token, nil).mustBeClosed()
		if len(w.got) != 0 {
			t.Fatal("the stream was handed over")
		}
	})
	t.Run("replayed", func(t *testing.T) {
		token, w := offer()
		first := present(token, mine)
		conn := <-w.got
		present(token, mine).mustBeClosed()
		if _, err := io.WriteString(conn, "still the first"); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got, err := io.ReadAll(first); string(got) != "still the first" {
			t.Errorf("the first stream read %q, %v", got, err)
		}
	})
	t.Run("late", func(t *testing.T) {
		token, w := offer()
		b.clock.advance(link.TokenTime + time.Second)
		present(token, mine).mustBeClosed()
		if len(w.got) != 0 {
			t.Fatal("the stream was handed over")
		}
	})
	t.Run("made up", func(t *testing.T) { present(newSecret(), mine).mustBeClosed() })
	t.Run("empty", func(t *testing.T) { present("", mine).mustBeClosed() })
}

func TestWithoutACertificateOneCanOnlyEnrol(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	for _, role := range []string{
		`{"v":1,"role":"control"}`, `{"v":1,"role":"spare"}`, `{"v":1,"role":"upload"}`,
		`{"v":1,"role":"relay","issuer":"https://idp.hospital.example"}`, `{"v":1,"role":"root"}`, `{"v":2,"role":"enrol"}`,
	} {
		r := dialRaw(t, b, nil)
		r.say(1, role)
		r.mustBeClosed()
	}
}

func TestARevokedAgentIsOut(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	bystander := start(t, b, "NGH", "ngh-2")
	cert, err := s.issued.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Revoke(t.Context(), "NGH", "ngh-1"); err != nil {
		t.Fatal(err)
	}
	s.await(t, false)
	if _, err := io.ReadAll(conn); err == nil {
		t.Error("the open stream ended as if the agent had closed it")
	}
	until(t, "the node knows that it is gone", func() bool { return !b.Online("NGH", "ngh-1") }) // the agent may know first
	_, err = b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	mustRefuse(t, err, session.Unreachable)
	for _, role := range []string{`{"v":1,"role":"spare"}`, `{"v":1,"role":"upload"}`, `{"v":1,"role":"stream","token":"` + newSecret() + `"}`} {
		r := dialRaw(t, b, cert)
		r.say(1, role)
		r.mustBeClosed()
	}
	s.stop()
	if up, _ := bystander.Connected(); !up || !b.Online("NGH", "ngh-2") {
		t.Error("another agent of the site went with it")
	}

	b.clock.advance(2 * time.Second)
	start(t, b, "NGH", "ngh-1") // a new token and a new certificate bring it back
}

// A node that has not heard of the revocation asks the shared list before every
// stream, also on a control connection and spares from before it.
func TestARevocationElsewhereStopsTheNextStream(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	s.KeepSpares(1)
	awaitSpares(t, b, 1)
	if err := b.cfg.Denied.Deny(t.Context(), Denial{Site: "NGH", Agent: "ngh-1", At: b.clock.now()}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	mustRefuse(t, err, session.Denied)
	_, err = b.Deliver(t.Context(), "NGH", "ngh-1", link.Deliver{Kind: "request"})
	mustRefuse(t, err, session.Denied)
	if len(s.desk.streams) != 0 {
		t.Error("the agent was given a stream")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sweep sync.WaitGroup
	defer sweep.Wait()
	defer cancel()
	sweep.Go(func() { _ = b.Run(ctx) })
	s.await(t, false)
}

func TestNobodyGetsInWhenRevocationsCannotBeRead(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	start(t, b, "NGH", "ngh-1")
	b.cfg.Denied = brokenList{}
	_, err := b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	mustRefuse(t, err, session.Unreachable)
	mustRefuse(t, b.Revoke(t.Context(), "NGH", "ngh-1"), session.Unreachable)
}

type brokenList struct{}

func (brokenList) Deny(context.Context, Denial) error     { return io.ErrUnexpectedEOF }
func (brokenList) List(context.Context) ([]Denial, error) { return nil, io.ErrUnexpectedEOF }

func TestTheNewestControlConnectionWins(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	identity := newIdentity(t)
	issued := enrol(t, b, "NGH", "ngh-1", identity)
	old := run(t, "NGH", "ngh-1", identity, issued, nil)
	old.await(t, true)
	first := b.control(name{"NGH", "ngh-1"})
	newer := run(t, "NGH", "ngh-1", identity, issued, nil)
	newer.await(t, true)
	old.await(t, false)
	old.stop()
	until(t, "the newer one is asked", func() bool { c := b.control(name{"NGH", "ngh-1"}); return c != nil && c != first })
}

// Whoever asks after a movement whether the agent is there gets the answer of then.
func TestComingsAndGoingsAreTold(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	told := func(online bool) {
		t.Helper()
		select {
		case who := <-b.moved:
			if who != "NGH/ngh-1" || b.Online("NGH", "ngh-1") != online {
				t.Errorf("%s moved, online %v", who, b.Online("NGH", "ngh-1"))
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nobody moved, want online %v", online)
		}
	}
	s := start(t, b, "NGH", "ngh-1")
	told(true)
	s.stop()
	told(false)
	start(t, b, "NGH", "ngh-1")
	told(true)
}

func TestReportsAreAcknowledged(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	r := link.SessionReport{
		Session: session.NewID().Session(), Request: session.NewID().Request(), Seq: 3, Asset: "NGH-PETCT1", Service: "recon-ssh",
		Opened:     time.Now(),
		Recordings: []link.RecordingReport{{Recording: session.NewID().Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: time.Now()}},
	}
	if err := s.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := b.office.reports; len(got) != 1 || got[0].Session != r.Session || !got[0].Opened.Equal(r.Opened) || !got[0].Ended.IsZero() {
		t.Errorf("the broker heard %+v", got)
	}
	b.office.refuse = errors.New("redis: connection refused at 10.0.0.7")
	err := s.Report(t.Context(), r)
	mustRefuse(t, err, session.Internal)
	if strings.Contains(err.Error(), "10.0.0.7") {
		t.Error("the broker's inside shows at the agent")
	}
	mustRefuse(t, s.Report(t.Context(), link.SessionReport{Session: "R-x"}), session.Invalid)
	b.stop()
	s.await(t, false)
	mustRefuse(t, s.Report(t.Context(), r), session.Unreachable)
}

func TestPartsAreUploadedOnOneConnection(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	rec := session.NewID().Recording()
	part := func(name string, content []byte) link.Put {
		return link.Put{Recording: rec, Part: name, Size: int64(len(content)), SHA256: sumHex(content)}
	}
	big := bytes.Repeat([]byte("segment "), 1<<17)
	before := len(s.dials)
	for i := range 3 {
		if err := s.Put(t.Context(), part(fmt.Sprintf("%06d.seg", i), big), bytes.NewReader(big)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(b.office.parts["NGH/"+rec+"/000002.seg"], big) {
		t.Error("the part arrived otherwise than it left")
	}
	if err := s.Put(t.Context(), part("000000.seg", big), bytes.NewReader(big)); err != nil {
		t.Errorf("the same part again: %v", err)
	}
	err := s.Put(t.Context(), part("000000.seg", []byte("other")), strings.NewReader("other"))
	mustRefuse(t, err, session.Refused)
	if !errors.Is(err, link.ErrConflict) {
		t.Errorf("a conflict is not told apart: %v", err)
	}
	if err := s.Put(t.Context(), part("empty", nil), strings.NewReader("")); err != nil {
		t.Error(err)
	}
	wrong := part("wrong.seg", []byte("right"))
	mustRefuse(t, s.Put(t.Context(), wrong, strings.NewReader("WRONG")), session.Invalid)
	if _, ok := b.office.parts["NGH/"+rec+"/wrong.seg"]; ok {
		t.Error("bytes that do not match their hash were stored")
	}
	if err := s.Put(t.Context(), part("last.seg", big), bytes.NewReader(big)); err != nil {
		t.Error(err)
	}
	if dials := len(s.dials) - before; dials != 1 {
		t.Errorf("%d upload connections for all of this, want 1", dials)
	}
	if err := s.Put(t.Context(), part("short.seg", big), bytes.NewReader(big[:100])); err == nil {
		t.Error("a body that ends early was accepted")
	}
	for _, bad := range []string{"", "../x", "a/b", ".hidden", strings.Repeat("x", 65)} {
		mustRefuse(t, s.Put(t.Context(), part(bad, big), bytes.NewReader(big)), session.Invalid)
	}
}

func TestRelayReachesPinnedIssuersOnly(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.office.issuer = ln.Addr().String()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, conn)
		_, _ = io.WriteString(conn, "bye")
	})
	conn, err := s.Relay(t.Context(), "https://idp.hospital.example")
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, "ClientHello")
	_, err = s.Relay(t.Context(), "https://169.254.169.254")
	mustRefuse(t, err, session.Refused)
	_, err = s.Relay(t.Context(), "not an issuer")
	mustRefuse(t, err, session.Invalid)
}

func TestTheAgentComesBackAfterTheBroker(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir, "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	b.stop()
	s.await(t, false)
	if up, since := s.Connected(); up || time.Since(since) > time.Minute {
		t.Errorf("Connected says %v since %v", up, since)
	}
	b = startBroker(t, dir, b.addr)
	s.await(t, true)
	conn, err := b.Open(t.Context(), "NGH", "ngh-1", sshOpen)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, "after the restart")
}
