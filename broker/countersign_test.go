package broker

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A head is countersigned only for a recording that is here, when its own agent
// signed it, and never backwards.
func TestCountersign(t *testing.T) {
	v, err := vault.OpenDirectory(t.TempDir())
	must(t, err)
	defer v.Close()
	_, agent, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	_, own, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	b := NewArchive(v, own, nil, nil, nil)
	id := session.NewID()
	head := func(by ed25519.PrivateKey, of session.ID, offset uint64) []byte {
		h, err := witness.Head{Recording: of, Offset: offset}.Signed(by)
		must(t, err)
		return h.Bytes()
	}
	ask := func(h []byte) ([]byte, error) { return b.Countersign(t.Context(), "NGH", "ngh-1", id.Recording(), h) }
	refused := func(what string, h []byte, kind session.Kind) {
		t.Helper()
		if r, err := ask(h); session.KindOf(err) != kind || r != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("before the header", head(agent, id, 1), session.Refused)
	real := begin(t, v, id, agent)
	refused("short", head(agent, id, 1)[1:], session.Invalid)
	refused("signed by another", head(own, id, 1), session.Denied)
	refused("of another recording", head(agent, session.NewID(), 1), session.Denied)
	got, err := ask(real.Bytes())
	must(t, err)
	r, err := witness.ParseReceipt(got)
	if err != nil || !r.Verify() || !r.Key().Equal(own.Public()) || r.Head != real || time.Since(r.Time()).Abs() > time.Minute {
		t.Errorf("%+v, %v", r, err)
	}
	refused("backwards", head(agent, id, real.Offset-1), session.Refused)
	if _, err := b.Countersign(t.Context(), "XYZ", "x", id.Recording(), head(agent, id, 9)); session.KindOf(err) != session.Refused {
		t.Errorf("for another site: %v", err)
	}

	log, err := audit.Open(audit.Config{Dir: t.TempDir(), Key: own, Origin: "broker.example", Now: time.Now})
	must(t, err)
	defer log.Close()

	// The pack of the recording so far holds the receipt.
	var pack bytes.Buffer
	must(t, library{v, own, alone(log), nil}.Pack(t.Context(), "NGH", id.Recording(), &pack))
	trust := session.Trust{V: 1, Site: "NGH", Identity: session.KeyLine(agent.Public().(ed25519.PublicKey)), Nodes: session.Nodes{log.Node()}}
	verdict := exchange.Verify(t.Context(), bytes.NewReader(pack.Bytes()), int64(pack.Len()), []session.Trust{trust})
	if verdict.Result != recordings.VerdictLive || !strings.Contains(verdict.Reason, "countersigned more than is here") {
		t.Errorf("%s: %s", verdict.Result, verdict.Reason)
	}
	if err := (library{v, own, alone(log), nil}).Pack(t.Context(), "NGH", session.NewID().Recording(), &pack); err == nil {
		t.Error("a pack of nothing")
	}
}

// Two nodes with keys of their own behind one vault: the agent's heads are countersigned
// now by one and now by the other, and either makes a pack that verifies where both are
// accepted and nowhere else.
func TestTwoNodesMakeOnePack(t *testing.T) {
	v, err := vault.OpenDirectory(t.TempDir())
	must(t, err)
	defer v.Close()
	_, agent, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	id, trust := session.NewID(), session.Trust{V: 1, Site: "NGH", Identity: session.KeyLine(agent.Public().(ed25519.PublicKey))}
	real := begin(t, v, id, agent)
	var nodes [2]*Archive
	for i := range nodes {
		_, own, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		log, err := audit.Open(audit.Config{Dir: t.TempDir(), Key: own, Origin: []string{"broker.example/one", "broker.example/two"}[i], Now: time.Now})
		must(t, err)
		t.Cleanup(func() { _ = log.Close() })
		nodes[i] = NewArchive(v, own, alone(log), nil, nil)
		trust.Nodes = append(trust.Nodes, log.Node())
	}
	for i := range 6 {
		h := real
		h.Offset += uint64(i)
		h, err := h.Signed(agent)
		must(t, err)
		_, err = nodes[i/2%2].Countersign(t.Context(), "NGH", "ngh-1", id.Recording(), h.Bytes())
		must(t, err)
	}
	for i, b := range nodes {
		var pack bytes.Buffer
		must(t, b.Pack(t.Context(), "NGH", id.Recording(), &pack))
		check := func(nodes session.Nodes) exchange.Result {
			bundle := trust
			bundle.Nodes = nodes
			return exchange.Verify(t.Context(), bytes.NewReader(pack.Bytes()), int64(pack.Len()), []session.Trust{bundle})
		}
		r := check(trust.Nodes)
		if text := strings.Join(r.Explain(), "\n"); r.Result != recordings.VerdictLive || !strings.Contains(text, "by 2 nodes of the broker") ||
			!strings.Contains(text, "broker.example/one") || !strings.Contains(text, "broker.example/two") {
			t.Errorf("made by %d: %s: %s\n%s", i, r.Result, r.Reason, text)
		}
		for j := range nodes {
			if r := check(trust.Nodes[j : j+1]); r.Result != recordings.VerdictTampered || !strings.Contains(r.Reason, "no node of the broker that the trust bundle accepts") {
				t.Errorf("made by %d, where only %d is accepted: %s: %s", i, j, r.Result, r.Reason)
			}
		}
	}
}

// begin stores the header of a recording that has just begun, and returns a head of it.
func begin(t *testing.T, v *vault.Directory, id session.ID, agent ed25519.PrivateKey) witness.Head {
	t.Helper()
	input, err := age.GenerateX25519Identity()
	must(t, err)
	dir, heads := filepath.Join(t.TempDir(), "rec"), make(chan witness.Head, 1)
	w, err := recordings.Create(dir, recordings.Header{Recording: id.Recording(), Session: session.NewID().Session(), Request: session.NewID().Request(),
		GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH},
		recordings.Options{Signer: agent, InputRecipient: input.Recipient().String(), HeadEvery: time.Nanosecond, OnHead: func(h witness.Head) { heads <- h }})
	must(t, err)
	defer w.Close(session.Completed)
	raw, err := os.ReadFile(filepath.Join(dir, "header"))
	must(t, err)
	sum := sha256.Sum256(raw)
	must(t, v.Put(t.Context(), vault.Part{Site: "NGH", Recording: id.Recording(), Name: "header", Size: int64(len(raw)), SHA256: hex.EncodeToString(sum[:])}, bytes.NewReader(raw)))
	must(t, w.Record(session.Event{Kind: session.Output, Stream: 1, Data: []byte("x")}))
	return <-heads
}

// alone is the log of a node that has no others.
func alone(log *audit.Log) func(context.Context) iter.Seq[Log] {
	return func(context.Context) iter.Seq[Log] { return func(yield func(Log) bool) { yield(log) } }
}
