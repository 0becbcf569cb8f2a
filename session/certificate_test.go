package session_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

func TestCertificatesThatAgentsTellOf(t *testing.T) {
	good := session.Certificate{Service: "console-rdp", SHA256: strings.Repeat("0a", 32), Known: session.KnownHeld, Old: "TLS 1.0"}
	if want := "console-rdp showed the certificate that it showed first, which the agent holds (sha256:" + good.SHA256 + "), over TLS of the past (TLS 1.0)"; !good.Valid() || good.Words() != want {
		t.Errorf("%v, %q", good.Valid(), good.Words())
	}
	for name, change := range map[string]func(*session.Certificate){
		"no service":   func(c *session.Certificate) { c.Service = "" },
		"short":        func(c *session.Certificate) { c.SHA256 = c.SHA256[:62] },
		"capitals":     func(c *session.Certificate) { c.SHA256 = strings.ToUpper(c.SHA256) },
		"no digits":    func(c *session.Certificate) { c.SHA256 = strings.Repeat("zz", 32) },
		"unknown word": func(c *session.Certificate) { c.Known = "trusted" },
		"long":         func(c *session.Certificate) { c.Old = strings.Repeat("x", session.MaxSaid+1) },
	} {
		bad := good
		if change(&bad); bad.Valid() {
			t.Errorf("%s: %+v is taken", name, bad)
		}
	}
}
