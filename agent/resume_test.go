package agent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// spooled is an agent that has a spool and nothing else.
func spooled(t *testing.T) (*Agent, *bytes.Buffer) {
	t.Helper()
	_, identity, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	input, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a := &Agent{self: self{state: state{t.TempDir()}, identity: identity, recipient: input.Recipient().String()}, log: slog.New(slog.NewTextHandler(&log, nil))}
	if err := os.Mkdir(a.state.path("spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	return a, &log
}

// begin makes a recording with one line in it, which is not closed.
func (a *Agent) begin(t *testing.T, of string) (dir string, w *recordings.Writer) {
	t.Helper()
	h := recordings.Header{
		Recording: session.NewID().Recording(), Session: of, Request: session.NewID().Request(), GrantHash: strings.Repeat("ab", 32),
		Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH,
		Engineer: session.Person{Identity: session.Identity{Iss: "https://vendor.example", Sub: "ann"}}, Started: time.Now(),
	}
	h.Approvers = []session.Person{h.Engineer}
	dir = filepath.Join(a.state.path("spool"), h.Recording)
	w, err := recordings.Create(dir, h, recordings.Options{Signer: a.identity, InputRecipient: a.recipient, OnPart: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Record(session.Event{Kind: session.Output, Stream: 1, Data: []byte("line 1\n")}); err != nil {
		t.Fatal(err)
	}
	return dir, w
}

// crashed is a copy of a recording as a kill leaves it.
func (a *Agent) crashed(t *testing.T, of string) (dir string) {
	t.Helper()
	dir, w := a.begin(t, of)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(session.Completed); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copied, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What a crash left is sealed, what it left of nothing is removed, what it spoiled is
// named and keeps nobody from the rest; and every session finds its recordings.
func TestRecover(t *testing.T) {
	a, log := spooled(t)
	of, other := session.NewID().Session(), session.NewID().Session()
	torn := a.crashed(t, of)
	whole, w := a.begin(t, of)
	if err := w.Close(session.Completed); err != nil {
		t.Fatal(err)
	}
	damaged := a.crashed(t, other)
	if err := os.WriteFile(filepath.Join(damaged, recordings.HeaderPart), []byte("spoiled"), 0o600); err != nil {
		t.Fatal(err)
	}
	never := filepath.Join(a.state.path("spool"), session.NewID().Recording())
	if err := os.Mkdir(never, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a crash while recovering is nothing new
		here, err := a.recover()
		if err != nil {
			t.Fatal(err)
		}
		if len(here[of]) != 2 || len(here[other]) != 0 {
			t.Errorf("found %v", here)
		}
		for _, r := range here[of] {
			if r.Service != "recon-ssh" || r.Started.IsZero() {
				t.Errorf("found %+v", r)
			}
		}
	}
	for dir, want := range map[string]recordings.State{torn: recordings.Torn, whole: recordings.Sealed} {
		part, err := os.ReadFile(filepath.Join(dir, recordings.SealPart))
		if err != nil {
			t.Fatal(err)
		}
		if seal, err := recordings.ReadSeal(part); err != nil || seal.State != want || seal.Events != 1 {
			t.Errorf("%+v, %v", seal, err)
		}
	}
	if _, err := os.Stat(never); !os.IsNotExist(err) {
		t.Errorf("the directory of a recording that was never begun: %v", err)
	}
	if !strings.Contains(log.String(), filepath.Base(damaged)) {
		t.Errorf("the damaged recording is not named:\n%s", log)
	}
}
