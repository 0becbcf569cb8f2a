package exchange_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// sealing proves the scene's seal in a log of one entry; bend changes the event first.
func (s *scene) sealing(bend func(*witness.Event)) []byte {
	s.t.Helper()
	return s.proof(s.broker, bend)
}

func (s *scene) proof(key ed25519.PrivateKey, bend func(*witness.Event)) []byte {
	s.t.Helper()
	seal := sha256.Sum256(s.parts.recording[len(s.parts.recording)-1])
	e := witness.Event{Event: witness.RecordingSealed, Site: "NGH", Recording: s.header.Recording, Session: s.header.Session,
		Time: time.Unix(1_800_000_000, 0), Salt: make([]byte, 16), Details: map[string]string{"seal": hex.EncodeToString(seal[:]), "state": "sealed"}}
	if bend != nil {
		bend(&e)
	}
	entry, err := e.Entry()
	must(s.t, err)
	note, err := witness.Checkpoint{Origin: "broker.example", Size: 1, Root: witness.LeafHash(entry)}.Signed(key)
	must(s.t, err)
	return witness.Inclusion{Entry: entry, Checkpoint: note}.Text()
}

func TestPackProvesItsSealInTheAuditLog(t *testing.T) {
	s := newScene(t)
	s.parts.audit = s.sealing(nil)
	r := verify(t, s.pack(), s.trust())
	if r.Result != recordings.VerdictIntact {
		t.Fatalf("%s: %s", r.Result, r.Reason)
	}
	if text := strings.Join(r.Explain(), "\n"); !strings.Contains(text, `In the audit log: entry 0 of the log "broker.example"`) || strings.Contains(text, "Not verified: an entry") {
		t.Error(text)
	}
}

func TestAuditProofsThatDoNotFit(t *testing.T) {
	s := newScene(t)
	for name, proof := range map[string][]byte{
		"of another recording": s.sealing(func(e *witness.Event) { e.Recording = session.NewID().Recording() }),
		"of another seal":      s.sealing(func(e *witness.Event) { e.Details["seal"] = strings.Repeat("0", 64) }),
		"of another event":     s.sealing(func(e *witness.Event) { e.Event = witness.RecordingFetched }),
		"of another log":       s.proof(newKey(t), nil),
		"that is no proof":     []byte("a proof"),
		"of another entry":     []byte(strings.Replace(string(s.sealing(nil)), "index 0", "index 1", 1)),
	} {
		s.parts.audit = proof
		if r := verify(t, s.pack(), s.trust()); r.Result != recordings.VerdictTampered || !strings.Contains(r.Reason, "audit") {
			t.Errorf("%s: %s: %s", name, r.Result, r.Reason)
		}
	}
}
