package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

const chunk = 64 << 10

// BenchmarkStream pushes bytes through an open stream: broker to agent and back as
// one echo of TLS records. BenchmarkRawTLS is the same over a TLS connection alone.
func BenchmarkStream(b *testing.B) {
	br := startBroker(b, b.TempDir(), "127.0.0.1:0")
	start(b, br, "NGH", "ngh-1")
	conn, err := br.Open(context.Background(), "NGH", "ngh-1", sshOpen)
	if err != nil {
		b.Fatal(err)
	}
	push(b, conn)
}

func BenchmarkRawTLS(b *testing.B) {
	ca, err := LoadCA(b.TempDir(), (&clock{}).now)
	if err != nil {
		b.Fatal(err)
	}
	cert, err := ca.Node("node1", nil)
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		c := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS13})
		_, _ = io.Copy(c, c)
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: ca.Roots(), ServerName: "node1"})
	if err != nil {
		b.Fatal(err)
	}
	push(b, conn)
}

// push writes b.N chunks and reads them back.
func push(b *testing.B, conn net.Conn) {
	b.Helper()
	defer conn.Close()
	b.SetBytes(chunk)
	b.ResetTimer()
	done := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, conn, int64(b.N)*chunk)
		done <- err
	}()
	buf := make([]byte, chunk)
	for range b.N {
		if _, err := conn.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOpen is how long a stream takes to open, dialled back or on a spare.
func BenchmarkOpen(b *testing.B) {
	for _, spares := range []int{0, link.MaxSpares} {
		b.Run(map[int]string{0: "dial-back", link.MaxSpares: "spare"}[spares], func(b *testing.B) {
			br := startBroker(b, b.TempDir(), "127.0.0.1:0")
			s := start(b, br, "NGH", "ngh-1")
			s.KeepSpares(spares)
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				awaitSpares(b, br, spares)
				b.StartTimer()
				conn, err := br.Open(context.Background(), "NGH", "ngh-1", sshOpen)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				conn.Close()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkIdleAgents tells what an idle agent's control connection costs the broker
// and a bare client together, for both ends of TLS are in this process.
func BenchmarkIdleAgents(b *testing.B) {
	br := startBroker(b, b.TempDir(), "127.0.0.1:0")
	identity := newIdentity(b)
	pub := identity.Public().(ed25519.PublicKey)
	cert, err := enrol(b, br, "NGH", "ngh-0", identity).Certificate()
	if err != nil {
		b.Fatal(err)
	}
	const agents = 500
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var open []*raw
	for range b.N {
		for i := range agents {
			name := fmt.Sprintf("ngh-%d-%d", len(open), i)
			chain, err := br.ca.agent("NGH", name, session.Fingerprint(pub), cert.Leaf.PublicKey)
			if err != nil {
				b.Fatal(err)
			}
			r := dialRaw(b, br, &tls.Certificate{Certificate: [][]byte{chain.Certificate}, PrivateKey: cert.PrivateKey})
			r.say(1, `{"v":1,"role":"control"}`)
			r.say(2, helloOf("NGH", name, identity))
			until(b, "the agent is connected", func() bool { return br.Online("NGH", name) })
			open = append(open, r)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := after.HeapInuse + after.StackInuse - before.HeapInuse - before.StackInuse
	b.ReportMetric(float64(used)/float64(len(open))/1024, "KiB/pair")
}
