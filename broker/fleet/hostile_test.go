package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func TestOnlyOurTLSIsSpoken(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	foreign := startBroker(t, t.TempDir(), "127.0.0.1:0")
	identity := newIdentity(t)
	good, err := enrol(t, b, "NGH", "ngh-1", identity).Certificate()
	if err != nil {
		t.Fatal(err)
	}
	alien, err := enrol(t, foreign, "NGH", "ngh-1", identity).Certificate()
	if err != nil {
		t.Fatal(err)
	}
	node, err := b.ca.Node("node2", nil)
	if err != nil {
		t.Fatal(err)
	}
	try := func(change func(*tls.Config)) error {
		cfg := &tls.Config{
			RootCAs: b.ca.Roots(), ServerName: "node1", NextProtos: []string{link.ALPN},
			Certificates: []tls.Certificate{*good},
		}
		change(cfg)
		conn, err := tls.Dial("tcp", b.addr, cfg)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		// A client learns of a refused certificate only when it reads.
		(&raw{Conn: conn, t: t}).say(1, `{"v":1,"role":"spare"}`)
		(&raw{Conn: conn, t: t}).say(3, "")
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	if err := try(func(*tls.Config) {}); err != nil {
		t.Fatalf("the honest agent is refused: %v", err)
	}
	// These configurations do not verify the server, so that only the broker can refuse.
	for name, change := range map[string]func(*tls.Config){
		"a certificate of another CA":   func(c *tls.Config) { forceCertificate(c, alien) },
		"a node's certificate":          func(c *tls.Config) { forceCertificate(c, node) },
		"TLS 1.2":                       func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
		"the web's ALPN":                func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} },
		"another version's ALPN":        func(c *tls.Config) { c.NextProtos = []string{"sallyport/2"} },
		"no ALPN":                       func(c *tls.Config) { c.NextProtos = nil },
		"an expired certificate":        func(c *tls.Config) { b.clock.advance(25 * time.Hour) },
		"a certificate from the future": func(c *tls.Config) { b.clock.advance(-50 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			before := b.clock.offset.Load()
			defer b.clock.offset.Store(before)
			if err := try(func(c *tls.Config) { c.InsecureSkipVerify = true; change(c) }); err == nil || isTimeout(err) {
				t.Errorf("the broker goes along: %v", err)
			}
		})
	}
}

func forceCertificate(c *tls.Config, cert *tls.Certificate) {
	c.Certificates = nil
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
}

func TestNothingIsResumed(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	cert, err := enrol(t, b, "NGH", "ngh-1", newIdentity(t)).Certificate()
	if err != nil {
		t.Fatal(err)
	}
	cache := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	for range 2 {
		conn, err := tls.Dial("tcp", b.addr, &tls.Config{
			RootCAs: b.ca.Roots(), ServerName: "node1", NextProtos: []string{link.ALPN},
			Certificates: []tls.Certificate{*cert}, ClientSessionCache: cache,
		})
		if err != nil {
			t.Fatal(err)
		}
		r := &raw{Conn: conn, t: t}
		r.say(1, `{"v":1,"role":"spare"}`)
		r.say(3, "")
		if _, err := conn.Read(make([]byte, 1)); err != nil { // a ticket would come before the pong
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			t.Error("the connection was resumed")
		}
		conn.Close()
	}
	if cache.put != 0 {
		t.Errorf("the broker handed out %d session tickets", cache.put)
	}
}

type countingCache struct {
	tls.ClientSessionCache
	put int
}

func (c *countingCache) Put(key string, s *tls.ClientSessionState) {
	if s != nil {
		c.put++
	}
	c.ClientSessionCache.Put(key, s)
}

func TestFramesThatNoAgentSendsEndTheConnection(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	identity := newIdentity(t)
	cert, err := enrol(t, b, "NGH", "ngh-1", identity).Certificate()
	if err != nil {
		t.Fatal(err)
	}
	frame := func(verb byte, size uint32, payload string) string {
		h := binary.BigEndian.AppendUint32([]byte{verb, 0, 0, 0, 1}, size)
		return string(h) + payload
	}
	plain := func(verb byte, payload string) string { return frame(verb, uint32(len(payload)), payload) }
	upload := plain(1, `{"v":1,"role":"upload"}`)
	for name, bytes := range map[string]string{
		"HTTP":                   "GET / HTTP/1.1\r\nHost: node1\r\n\r\n",
		"an unknown verb":        plain(99, "{}"),
		"a verb out of place":    plain(8, "{}"),
		"an oversized role":      frame(1, 1025, ""),
		"a role of 4 GiB":        frame(1, 0xffffffff, ""),
		"not JSON":               plain(1, "hello"),
		"an unknown field":       plain(1, `{"v":1,"role":"spare","exec":"sh"}`),
		"a repeated field":       plain(1, `{"v":1,"role":"upload","role":"spare"}`),
		"another case":           plain(1, `{"V":1,"role":"spare"}`),
		"spaces":                 plain(1, `{"v": 1,"role":"spare"}`),
		"something after it":     plain(1, `{"v":1,"role":"spare"}{}`),
		"a spare with a token":   plain(1, `{"v":1,"role":"spare","token":"`+newSecret()+`"}`),
		"an empty put":           upload + plain(9, ""),
		"a part of 2^62 bytes":   upload + plain(9, `{"recording":"x","part":"p","size":4611686018427387904,"sha256":""}`),
		"a negative part":        upload + plain(9, `{"recording":"`+session.NewID().Recording()+`","part":"p","size":-1,"sha256":"`+sumHex(nil)+`"}`),
		"an oversized hello":     plain(1, `{"v":1,"role":"control"}`) + frame(2, 1<<20+1, ""),
		"a hello of another":     plain(1, `{"v":1,"role":"control"}`) + plain(2, helloOf("NGH", "ngh-2", identity)),
		"another identity key":   plain(1, `{"v":1,"role":"control"}`) + plain(2, helloOf("NGH", "ngh-1", newIdentity(t))),
		"a verdict out of order": plain(1, `{"v":1,"role":"spare"}`) + plain(7, `{"ok":true,"admitted":false,"count":0,"needed":0}`),
	} {
		t.Run(name, func(t *testing.T) {
			r := dialRaw(t, b, cert)
			if _, err := io.WriteString(r, bytes); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r) // an ack with the refusal may come first
			if isTimeout(err) || len(got) > 0 && got[0] != 12 || strings.Contains(string(got), `"time":"`) && !strings.Contains(string(got), `"kind":`) {
				t.Errorf("the broker answers %q, %v", got, err)
			}
			if b.Online("NGH", "ngh-1") {
				t.Error("and counts the agent as connected")
			}
		})
	}
	start(t, b, "NGH", "ngh-1") // and it still serves the honest
}

func helloOf(site, agent string, identity ed25519.PrivateKey) string {
	line := session.KeyLine(identity.Public().(ed25519.PublicKey))
	return `{"v":1,"site":"` + site + `","agent":"` + agent + `","identity":"` + line + `","boot":"b","version":"1","assets":null}`
}

// The tests below run on a fake clock and in-memory connections.

func startFake(t *testing.T, dir string) *broker {
	t.Helper()
	b := &broker{office: &office{parts: make(map[string][]byte)}, clock: &clock{}, addr: "fake:1"}
	var err error
	if b.ca, err = LoadCA(dir, b.clock.now); err != nil {
		t.Fatal(err)
	}
	b.Fleet, err = New(Config{
		Node: "node1", Nodes: []link.Node{{Name: "node1", Address: b.addr}}, CA: b.ca,
		Once: &memory{kept: make(map[string][]byte)}, Denied: &denyList{},
		Handler: b.office, Now: b.clock.now, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSlowLorisIsCutAfterTenSeconds(t *testing.T) {
	for name, slow := range map[string]func(b *broker, c net.Conn) error{
		"never says anything": func(*broker, net.Conn) error { return nil },
		"drips TLS": func(_ *broker, c net.Conn) error {
			for _, x := range []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9} {
				if _, err := c.Write([]byte{x}); err != nil {
					return err
				}
				time.Sleep(time.Second)
			}
			return nil
		},
		"shakes hands and drips its role": func(b *broker, c net.Conn) error {
			conn := tls.Client(c, &tls.Config{RootCAs: b.ca.Roots(), ServerName: "node1", NextProtos: []string{link.ALPN}})
			if err := conn.Handshake(); err != nil {
				return err
			}
			for {
				if _, err := conn.Write([]byte{1}); err != nil {
					return nil
				}
				time.Sleep(3 * time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				b := startFake(t, dir)
				client, server := net.Pipe()
				defer client.Close()
				began := time.Now()
				done := make(chan time.Duration, 1)
				go func() {
					b.ServeConn(t.Context(), server)
					done <- time.Since(began)
				}()
				var attacker sync.WaitGroup
				attacker.Go(func() {
					if err := slow(b, client); err != nil && err != io.ErrClosedPipe {
						t.Error(err)
					}
				})
				if lasted := <-done; lasted > 16*time.Second { // 10 s, and TLS's own goodbye
					t.Errorf("the connection lasted %v", lasted)
				}
				attacker.Wait()
			})
		})
	}
}

func TestTheCertificateIsRenewedAtHalfLife(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := startFake(t, dir)
		identity := newIdentity(t)
		dial := pipeDial(t, b)
		token, err := b.JoinToken(t.Context(), Join{Site: "NGH", Agent: "ngh-1"}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		issued, err := link.Enrol(t.Context(), link.EnrolRequest{JoinToken: token, Identity: identity, Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		current := make(chan link.Issued, 1)
		current <- issued
		renewed := make(chan link.Issued, 8)
		roots, _ := issued.Roots()
		c, err := link.NewClient(link.ClientConfig{
			Nodes: issued.Nodes, Roots: func() *x509.CertPool { return roots },
			Certificate: func() (*tls.Certificate, error) {
				i := <-current
				current <- i
				return i.Certificate()
			},
			Renew: func(i link.Issued) error {
				if i.KeyPEM != "" {
					t.Error("a renewal carries a key")
				}
				old := <-current
				i.KeyPEM = old.KeyPEM
				current <- i
				renewed <- i
				return nil
			},
			Hello: func() link.Hello {
				return link.Hello{V: 1, Site: "NGH", Agent: "ngh-1", Identity: session.KeyLine(identity.Public().(ed25519.PublicKey))}
			},
			Handler: newDesk(), Dial: dial, Log: quiet,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = c.Run(ctx) }()
		first := <-renewed
		if at := time.Since(began); at < 11*time.Hour+50*time.Minute || at > 12*time.Hour+5*time.Minute {
			t.Errorf("renewed after %v", at)
		}
		second := <-renewed
		if !first.Expires.After(issued.Expires) || !second.Expires.After(first.Expires) {
			t.Errorf("expiries %v, %v, %v", issued.Expires, first.Expires, second.Expires)
		}
		stop()
		<-done
		time.Sleep(time.Minute) // TLS goodbyes nobody reads any more
	})
}
