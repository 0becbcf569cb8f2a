package attach

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"testing"
)

func pair(t *testing.T, server *tls.Config, client *tls.Config) (said string, err error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	done := make(chan string, 1)
	go func() {
		defer far.Close()
		s := tls.Server(far, server)
		b, _ := io.ReadAll(s)
		done <- string(b)
	}()
	c := tls.Client(near, client)
	err = c.Handshake()
	if err == nil {
		_, err = c.Write([]byte("hello"))
		_ = c.Close()
	}
	_ = near.Close()
	return <-done, err
}

// Who dials talks to the owner of the hospital's key, and says nothing to anybody else.
func TestInnerKnowsTheAgent(t *testing.T) {
	pub, agent, _ := ed25519.GenerateKey(rand.Reader)
	_, broker, _ := ed25519.GenerateKey(rand.Reader)
	right, err := InnerServer(agent)
	if err != nil {
		t.Fatal(err)
	}
	wrong, _ := InnerServer(broker)
	otherProtocol := right.Clone()
	otherProtocol.NextProtos = nil
	if said, err := pair(t, right, InnerClient(pub)); err != nil || said != "hello" {
		t.Errorf("the agent: %v, %q", err, said)
	}
	for name, server := range map[string]*tls.Config{"another key": wrong, "another protocol": otherProtocol} {
		if said, err := pair(t, server, InnerClient(pub)); err == nil || said != "" {
			t.Errorf("%s: %v, %q", name, err, said)
		}
	}
	old := InnerClient(pub)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if said, err := pair(t, right, old); err == nil || said != "" {
		t.Errorf("TLS 1.2: %v, %q", err, said)
	}
}
