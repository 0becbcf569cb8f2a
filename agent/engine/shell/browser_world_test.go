package shell

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
)

// browser is one engineer's browser and all that it was told.
type browser struct {
	t    *testing.T
	w    *world
	conn net.Conn
	*attach.Client

	mu        sync.Mutex
	welcome   *attach.Welcome
	refused   *attach.Refused
	notices   []attach.Notice
	output    []byte
	snapshots [][]byte
	answers   [][]byte
	data      map[uint32][]byte // of files
	credit    map[uint32]int    // for uploads
	pongs     int
	order     []attach.Type
	closed    bool
	pause     chan struct{} // when set, nothing is read until it is closed
}

// dialBrowser connects a browser; it has read its challenge.
func (w *world) dialBrowser(asset, service string) *browser {
	w.t.Helper()
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		w.engine.Serve(context.Background(), engine.Visit{Door: link.DoorAttach, Asset: asset, Service: service, Peer: "192.0.2.9"}, far)
	}()
	w.t.Cleanup(func() { _ = near.Close(); <-served })
	c, err := attach.NewClient(near)
	must(w.t, err)
	return &browser{t: w.t, w: w, conn: near, Client: c, data: map[uint32][]byte{}, credit: map[uint32]int{}}
}

// newKey is a key of the kind that browsers make, and its permit.
func (w *world) newKey(channels ...session.Channel) (crypto.Signer, *engine.Ticket) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(w.t, err)
	pub, err := gossh.NewPublicKey(key.Public())
	must(w.t, err)
	return key, w.admit(pub, channels...)
}

// joins gives a permit one more key.
func (w *world) joins(p *engine.Ticket) crypto.Signer {
	w.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(w.t, err)
	pub, err := gossh.NewPublicKey(key.Public())
	must(w.t, err)
	w.rights.mu.Lock()
	defer w.rights.mu.Unlock()
	w.rights.keys[keyLine(pub)] = p
	return key
}

func shellProof(p *engine.Ticket) attach.Proof {
	return sized(attach.Proof{Session: p.ID.Session()}, 80, 24)
}

// sized is a proof whose terminal has a size.
func sized(p attach.Proof, cols, rows int) attach.Proof {
	p.Opening = attach.Terminal{Cols: cols, Rows: rows, Term: "xterm-256color", Shell: true}.Opening()
	return p
}

// open connects a browser, proves the key and waits for the welcome.
func (w *world) open(key crypto.Signer, proof attach.Proof) *browser {
	w.t.Helper()
	b := w.dialBrowser("NGH-PETCT1", "recon-ssh")
	must(w.t, b.Prove(key, proof))
	b.listen()
	b.until("welcome", func() bool { return b.welcome != nil })
	return b
}

// listen reads everything from now on.
func (b *browser) listen() {
	done := make(chan struct{})
	b.t.Cleanup(func() { _ = b.conn.Close(); <-done })
	go func() {
		defer close(done)
		for {
			b.mu.Lock()
			pause := b.pause
			b.mu.Unlock()
			if pause != nil {
				<-pause
			}
			f, err := b.Read()
			if err == nil {
				err = b.hear(f)
			}
			if err != nil {
				b.mu.Lock()
				b.closed = true
				b.mu.Unlock()
				_ = b.conn.Close()
				return
			}
		}
	}()
}

func (b *browser) hear(f attach.Frame) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.order = append(b.order, f.Type)
	switch f.Type {
	case attach.TypeWelcome:
		b.welcome = &attach.Welcome{}
		return json.Unmarshal(f.Payload, b.welcome)
	case attach.TypeRefused:
		b.refused = &attach.Refused{}
		return json.Unmarshal(f.Payload, b.refused)
	case attach.TypeNotice:
		var n attach.Notice
		err := json.Unmarshal(f.Payload, &n)
		b.notices = append(b.notices, n)
		return err
	case attach.TypeOutput:
		b.output = append(b.output, f.Payload...)
	case attach.TypeSnapshot:
		b.snapshots = append(b.snapshots, bytes.Clone(f.Payload))
	case attach.TypeFiles:
		b.answers = append(b.answers, bytes.Clone(f.Payload))
	case attach.TypeData:
		id := binary.BigEndian.Uint32(f.Payload)
		b.data[id] = append(b.data[id], f.Payload[4:]...)
	case attach.TypeCredit:
		b.credit[binary.BigEndian.Uint32(f.Payload)] += int(binary.BigEndian.Uint32(f.Payload[4:]))
	case attach.TypePing:
		b.pongs++
	}
	return nil
}

// until waits for something that the browser must hear.
func (b *browser) until(what string, ok func() bool) {
	b.t.Helper()
	b.w.until("the browser: "+what, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return ok()
	})
}

// notice waits for a notice of a type and returns the last of that type.
func (b *browser) notice(t attach.NoticeType) attach.Notice {
	b.t.Helper()
	var found attach.Notice
	b.until("notice "+string(t), func() bool {
		for _, n := range b.notices {
			if n.Type == t {
				found = n
			}
		}
		return found.Type != ""
	})
	return found
}

func (b *browser) sees(text string) {
	b.t.Helper()
	b.until("sees "+text, func() bool { return bytes.Contains(b.output, []byte(text)) })
}

func (b *browser) types(text string) {
	b.t.Helper()
	must(b.t, b.Send(attach.TypeInput, []byte(text)))
}

func (b *browser) gone() {
	b.t.Helper()
	b.until("is disconnected", func() bool { return b.closed })
}

// drop cuts the connection, as a tunnel does.
func (b *browser) drop() {
	_ = b.conn.Close()
	b.gone()
}

// refusal is what a browser reads that is not let in.
func (b *browser) refusal() attach.Refused {
	b.t.Helper()
	b.listen()
	b.gone()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused == nil || b.welcome != nil || !slices.Equal(b.order, []attach.Type{attach.TypeRefused}) {
		b.t.Fatalf("not refused: %q", b.order)
	}
	return *b.refused
}

// talk is a device's program that says what it is given to say, until that is closed.
func talk(words <-chan string) func(gossh.Channel, string) bool {
	return func(ch gossh.Channel, _ string) bool {
		for text := range words {
			if _, err := io.WriteString(ch, text); err != nil {
				return true
			}
		}
		_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 3})
		_ = ch.Close()
		return true
	}
}

// serveFiles is a device's sftp server on this machine's own files.
func serveFiles(ch gossh.Channel) {
	defer ch.Close()
	if server, err := sftp.NewServer(ch); err == nil {
		_ = server.Serve()
	}
}
