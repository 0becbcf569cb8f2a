package client

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// The command line goes out by HTTPS_PROXY, and says what a proxy does instead.
func TestThroughAProxy(t *testing.T) {
	resigned := httptest.NewUnstartedServer(http.NotFoundHandler())
	resigned.StartTLS()
	defer resigned.Close()
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"NTLM": {func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n") }, "wants NTLM"},
		"TLS inspection": {func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 Connection established\r\n\r\n")
			_ = tls.Server(c, resigned.TLS).Handshake()
		}, "The broker's certificate is signed by O=Acme Co"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			asked, done := make(chan string, 16), make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
						asked <- r.Method + " " + r.Host
						c.serve(conn)
					}
					_ = conn.Close()
				}
			}()
			t.Cleanup(func() { _ = ln.Close(); <-done })
			t.Setenv("HTTPS_PROXY", "http://"+ln.Addr().String())
			t.Setenv("NO_PROXY", "")
			_, err = New(Config{Broker: "https://broker.example.com"}).do(t.Context(), http.MethodGet, "/api/v1/info", nil)
			var e *session.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, c.want) || e.Next == "" {
				t.Errorf("it says %v", err)
			}
			if got := <-asked; got != "CONNECT broker.example.com:443" {
				t.Errorf("the proxy was asked %q", got)
			}
		})
	}
}
