package doctor

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/proxy"
)

// through has the scene go out by a proxy that does with the tunnel as a test says.
func (s *scene) through(t *testing.T, serve func(c net.Conn, address string)) {
	at := accept(t, func(c net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil && r.Method == http.MethodConnect {
			serve(c, r.Host)
		}
	})
	d, err := proxy.New(proxy.Config{URL: "http://" + at})
	must(t, err)
	s.o.Proxy = d
}

const connected = "HTTP/1.1 200 Connection established\r\n\r\n"

// honest carries bytes.
func honest(c net.Conn, address string) {
	to, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Fprint(c, "HTTP/1.1 503 Service Unavailable\r\n\r\n")
		return
	}
	defer to.Close()
	fmt.Fprint(c, connected)
	var ways sync.WaitGroup
	ways.Go(func() { _, _ = io.Copy(to, c); _ = to.Close() })
	ways.Go(func() { _, _ = io.Copy(c, to); _ = c.Close() })
	ways.Wait()
}

func TestTheWayThroughAProxy(t *testing.T) {
	s := newScene(t)
	s.through(t, honest)
	r := s.examine(t)
	if r.Failed() || len(r.Ask) != 0 {
		t.Errorf("an honest proxy: %+v", r)
	}
	var way []string
	for _, c := range r.Checks {
		way = append(way, c.Name)
	}
	at := slices.Index(way, "tcp proxy")
	if at < 0 || strings.Join(way[at:min(len(way), at+4)], ", ") != "tcp proxy, connect broker, tls broker, link broker" {
		t.Errorf("the way is walked as %v", way)
	}
}

func TestWhatAProxyDoesToTheLink(t *testing.T) {
	for _, f := range []struct {
		name  string
		serve func(t *testing.T) func(net.Conn, string)
		check string
		words string
	}{
		{"NTLM", func(*testing.T) func(net.Conn, string) {
			return func(c net.Conn, _ string) {
				fmt.Fprint(c, "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")
			}
		}, "connect broker", "wants NTLM"},
		{"a portal", func(*testing.T) func(net.Conn, string) {
			return func(c net.Conn, _ string) {
				fmt.Fprint(c, "HTTP/1.1 302 Found\r\nLocation: http://portal.hospital.example/\r\n\r\n")
			}
		}, "connect broker", "answers with a page (portal.hospital.example)"},
		{"TLS inspection", func(t *testing.T) func(net.Conn, string) {
			ca := newAuthority(t, "Hospital Inspection CA")
			cfg := &tls.Config{Certificates: []tls.Certificate{*ca.node("broker", time.Now().Add(time.Hour))}}
			return func(c net.Conn, _ string) {
				fmt.Fprint(c, connected)
				_ = tls.Server(c, cfg).Handshake()
			}
		}, "tls broker", "signed by CN=Hospital Inspection CA"},
		{"a page inside the tunnel", func(*testing.T) func(net.Conn, string) {
			return func(c net.Conn, _ string) {
				fmt.Fprint(c, connected+"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n")
			}
		}, "tls broker", "answers with a page"},
	} {
		t.Run(f.name, func(t *testing.T) {
			s := newScene(t)
			s.through(t, f.serve(t))
			r := s.examine(t)
			c := find(r, f.check)
			if c.Result != Fail || !strings.Contains(c.Says, f.words) {
				t.Errorf("%+v\nin %+v", c, r.Checks)
			}
			if len(r.Ask) < 1 || !strings.HasPrefix(r.Ask[0], s.p.Nodes[0].Address+", through the proxy ") || !strings.Contains(r.Ask[0], "no TLS inspection") {
				t.Errorf("the hospital's IT is asked for %q", r.Ask)
			}
		})
	}
}
