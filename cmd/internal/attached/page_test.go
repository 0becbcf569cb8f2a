package attached

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/grant"
)

const scanner, service = "NGH-PETCT1", "recon-ssh"

// agreed is a session for which engineer and approver proved what they ask and grant,
// and the key of the engineer's page.
func agreed(engineer, approver *person, channels ...session.Channel) (key crypto.Signer, id string) {
	engineer.t.Helper()
	return agreedOn(engineer, approver, scanner, service, channels...)
}

// agreedOn is agreed for another service.
func agreedOn(engineer, approver *person, scanner, service string, channels ...session.Channel) (key crypto.Signer, id string) {
	t := engineer.t
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	line, err := session.KeyLineEC(&p256.PublicKey)
	must(t, err)
	var me api.Login
	engineer.call(http.MethodGet, "/api/v1/me", nil, &me)
	asked := accesstest.Request(me.Person.Identity, "NGH", scanner, time.Now())
	asked.Key, asked.Services, asked.Channels = line, []string{service}, channels
	doc, salt := accesstest.Bytes(asked), grant.NewSalt()
	request := engineer.prove(api.ProofStart{Role: "request", Document: doc, Salt: salt[:], Nonce: grant.RequestNonce(doc, salt)}).Request

	var papers api.Documents
	approver.call(http.MethodGet, "/api/v1/requests/"+request+"/documents", nil, &papers)
	var assets []api.Asset
	approver.call(http.MethodGet, "/api/v1/assets", nil, &assets)
	hash, gid := grant.RequestHash(papers.Request), session.NewID()
	answer := grant.Grant{V: 1, Typ: "sallyport-grant", GID: gid.Text(), Req: hex.EncodeToString(hash[:]), Site: asked.Site, Agent: agentOf(t, assets, scanner),
		Asset: asked.Asset, Services: asked.Services, Class: asked.Class, Channels: asked.Channels, NBF: asked.NBF, EXP: asked.EXP, MaxS: asked.MaxS, Obl: []string{"record"}}
	doc, salt = accesstest.Bytes(answer), grant.NewSalt()
	o := approver.prove(api.ProofStart{Role: "approve", ID: request, Document: doc, Salt: salt[:], Nonce: grant.ApproveNonce(doc, papers.Token, salt)})
	if !o.Admitted {
		t.Fatalf("not admitted: %+v", o)
	}
	return p256, gid.Session()
}

// sees waits until a session is live for somebody who looks at it.
func (p *person) sees(id string) {
	p.t.Helper()
	until(p.t, "the session is live", func() error {
		status, _, got := p.send(http.MethodGet, "/api/v1/sessions/"+id, nil)
		if status != http.StatusOK || !bytes.Contains(got, []byte(`"state":"live"`)) {
			time.Sleep(200 * time.Millisecond) // there is a bound to how often one may ask
			return fmt.Errorf("%d %s", status, got)
		}
		return nil
	})
}

func agentOf(t *testing.T, assets []api.Asset, scanner string) string {
	t.Helper()
	for _, a := range assets {
		if a.Name == scanner {
			return a.Agent
		}
	}
	t.Fatalf("the scanner is not among %+v", assets)
	return ""
}

var errNotYet = errors.New("not yet")

// page is an open session's page and all that it was told.
type page struct {
	*attach.Client
	t    *testing.T
	conn net.Conn

	mu      sync.Mutex
	closed  bool
	welcome *attach.Welcome
	notices []attach.Notice
	shown   []byte
	redrawn []byte // the last snapshot
	answers []answer
	content []byte // of a download
}

// answer is any answer about files.
type answer struct {
	ID      uint32
	OK      bool
	Done    bool
	Size    int
	SHA256  string
	Path    string
	Entries []struct {
		Name string
		Dir  bool
		Size int
	}
	Error *attach.Refused
}

// dial opens a WebSocket to a service by way of the broker.
func (p *person) dial(scanner, service string) (*websocket.Conn, net.Conn) {
	p.t.Helper()
	var ticket api.Ticket
	p.call(http.MethodPost, "/api/v1/attach", api.Attach{Site: "NGH", Asset: scanner, Service: service}, &ticket)
	ws, _, err := websocket.Dial(p.t.Context(), "ws"+strings.TrimPrefix(p.broker, "http")+ticket.URL, &websocket.DialOptions{
		Subprotocols: []string{attach.Protocol}, HTTPHeader: http.Header{"Origin": {p.broker}, "Cookie": {p.cookie(false)}}})
	must(p.t, err)
	must(p.t, ws.Write(p.t.Context(), websocket.MessageText, []byte(ticket.Ticket)))
	return ws, websocket.NetConn(p.t.Context(), ws, websocket.MessageBinary)
}

// attach opens a page and waits for the welcome.
func (p *person) attach(key crypto.Signer, id string) *page {
	p.t.Helper()
	ws, conn := p.dial(scanner, service)
	g := &page{t: p.t, conn: conn}
	var err error
	g.Client, err = attach.NewClient(g.conn)
	must(p.t, err)
	must(p.t, g.Prove(key, attach.Proof{Session: id, Opening: attach.Terminal{Cols: 80, Rows: 24, Term: "xterm-256color", Shell: true}.Opening()}))
	done := make(chan struct{})
	go func() { defer close(done); g.listen() }()
	p.t.Cleanup(func() { _ = ws.CloseNow(); <-done })
	g.until("welcome", func() bool { return g.welcome != nil })
	return g
}

func (g *page) listen() {
	for {
		f, err := g.Read()
		g.mu.Lock()
		if err == nil {
			err = g.hear(f)
		}
		if err != nil {
			g.closed = true
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
	}
}

func (g *page) hear(f attach.Frame) error {
	switch f.Type {
	case attach.TypeWelcome:
		g.welcome = &attach.Welcome{}
		return json.Unmarshal(f.Payload, g.welcome)
	case attach.TypeNotice:
		var n attach.Notice
		err := json.Unmarshal(f.Payload, &n)
		g.notices = append(g.notices, n)
		return err
	case attach.TypeOutput:
		g.shown = append(g.shown, f.Payload...)
	case attach.TypeSnapshot:
		g.redrawn = bytes.Clone(f.Payload[4:])
	case attach.TypeFiles:
		var a answer
		err := json.Unmarshal(f.Payload, &a)
		g.answers = append(g.answers, a)
		return err
	case attach.TypeData:
		g.content = append(g.content, f.Payload[4:]...)
	case attach.TypeRefused:
		return errors.New(string(f.Payload))
	}
	return nil
}

func (g *page) until(what string, ok func() bool) {
	g.t.Helper()
	until(g.t, "the page: "+what, func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		switch {
		case ok():
			return nil
		case g.closed:
			g.t.Fatalf("the page was closed before %s; it was told %+v and shown %q", what, g.notices, g.shown)
		}
		return errNotYet
	})
}

func (g *page) types(text string) {
	g.t.Helper()
	must(g.t, g.Send(attach.TypeInput, []byte(text)))
}

func (g *page) sees(text string) {
	g.t.Helper()
	g.until("sees "+text, func() bool { return bytes.Contains(g.shown, []byte(text)) })
}

// told waits for a notice.
func (g *page) told(kind attach.NoticeType) (n attach.Notice) {
	g.t.Helper()
	g.until("is told "+string(kind), func() bool {
		for _, x := range g.notices {
			if x.Type == kind {
				n = x
			}
		}
		return n.Type != ""
	})
	return n
}

// answered waits for answer n of an operation, from 0.
func (g *page) answered(id uint32, n int) (a answer) {
	g.t.Helper()
	g.until("an answer", func() bool {
		left := n
		for _, x := range g.answers {
			if x.ID != id {
				continue
			}
			if left--; left < 0 {
				a = x
				return true
			}
		}
		return false
	})
	return a
}

func (g *page) credit(id, n uint32) {
	g.t.Helper()
	must(g.t, g.Send(attach.TypeCredit, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, id), n)))
}

// drop loses the connection as a tunnel does, without a word.
func (g *page) drop() { _ = g.conn.Close() }
