package agent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// The first countersigning key counts; another one is refused, and said loudly.
func TestTheFirstBrokerKeyCounts(t *testing.T) {
	var said bytes.Buffer
	c := &credentials{state: state{t.TempDir()}, log: slog.New(slog.NewTextHandler(&said, nil))}
	var keys [2]ed25519.PublicKey
	for i := range keys {
		pub, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = pub
	}
	if line, err := c.state.broker(); err != nil || line != "" {
		t.Fatalf("before anything: %q, %v", line, err)
	}
	for range 2 {
		if err := c.pinBroker(keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	if said.Len() > 0 {
		t.Errorf("said without need: %s", &said)
	}
	err := c.pinBroker(keys[1])
	if !errors.Is(err, errOtherBroker) || session.KindOf(err) != session.Refused {
		t.Errorf("another key: %v", err)
	}
	if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "COUNTERSIGNING KEY CHANGED") {
		t.Errorf("not said loudly: %q", &said)
	}
	if line, err := c.state.broker(); err != nil || line != session.KeyLine(keys[0]) {
		t.Errorf("pinned now: %q, %v", line, err)
	}
	if err := c.state.write("broker.key", []byte("nonsense\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.pinBroker(keys[0]); err == nil {
		t.Error("a spoiled pin is taken for none")
	}
}
