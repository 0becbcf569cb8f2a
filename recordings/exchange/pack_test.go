package exchange_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// A stranger with the bundle learns who asked, who allowed it and up to when the
// broker vouches, and what nobody can tell.
func TestIntactIsExplained(t *testing.T) {
	s := newScene(t)
	r := verify(t, s.pack(), s.trust())
	if r.Result != recordings.VerdictIntact {
		t.Fatalf("%s: %s", r.Result, r.Reason)
	}
	all := strings.Join(r.Explain(), "\n")
	for _, want := range []string{"Intact:", `Who asked: "eva@example.org"`, `Who allowed it: "anna@example.org"`, "What was allowed: recon-ssh",
		"exactly this request", "exactly this grant", "Countersigned: 6 times", "up to its end", "Not verified: that the identity providers", "audit log"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not said in:\n%s", want, all)
		}
	}
	if !bytes.Equal(s.pack(), s.pack()) {
		t.Error("the same contents make two packs")
	}
}

// A recording alone still verifies, and says what it does not show.
func TestRecordingAlone(t *testing.T) {
	s := newScene(t)
	file := bytes.Join(s.parts.recording, nil)
	r := verify(t, file, s.trust())
	if r.Result != recordings.VerdictIntact || !strings.Contains(strings.Join(r.Explain(), "\n"), "recording alone") {
		t.Errorf("%s: %q", r.Result, r.Explain())
	}
}

// Without the site's bundle it is consistent, and no more is claimed; a bundle without
// the broker's key leaves the countersignatures' owner open.
func TestUnpinned(t *testing.T) {
	s, other := newScene(t), newScene(t)
	if r := verify(t, s.pack(), other.trust()); r.Result != recordings.VerdictUnpinned {
		t.Errorf("%s: %s", r.Result, r.Reason)
	}
	nameless := s.trust()
	nameless.Nodes = nil
	r := verify(t, s.pack(), nameless)
	if r.Result != recordings.VerdictIntact || !strings.Contains(strings.Join(r.Explain(), "\n"), "names no broker") {
		t.Errorf("%s: %q", r.Result, r.Explain())
	}
}

// While it is recorded, a pack is live and says how far the broker vouches.
func TestLive(t *testing.T) {
	s := newScene(t)
	live := s.parts
	live.recording, live.list = live.recording[:2], nil
	live.receipts = concat(s.parts.receipt[:4])
	r := verify(t, packed(t, live, s.broker), s.trust())
	if r.Result != recordings.VerdictLive || !strings.Contains(r.Reason, "countersigned more than is here") {
		t.Errorf("%s: %s", r.Result, r.Reason)
	}
	live.recording, live.papers, live.receipts = live.recording[:1], nil, nil
	if r := verify(t, packed(t, live, s.broker), s.trust()); r.Result != recordings.VerdictLive {
		t.Errorf("with a header only: %s: %s", r.Result, r.Reason)
	}
}

// Every single byte counts: whichever changes, the pack is tampered.
func TestEveryByteCounts(t *testing.T) {
	s := newScene(t)
	s.parts.audit = s.sealing(nil)
	file := s.pack()
	trust := s.trust()
	step := 29 // each place class is hit many times; the ends and heads all are
	if os.Getenv("SALLYPORT_PROVE") != "" {
		step = 7
	}
	for i := 0; i < len(file); i++ {
		if i > 40 && i < len(file)-110 && i%step != 0 {
			continue
		}
		file[i] ^= 0x40
		if r := verify(t, file, trust); r.Result != recordings.VerdictTampered {
			t.Fatalf("byte %d of %d changed: %s: %s", i, len(file), r.Result, r.Reason)
		}
		file[i] ^= 0x40
	}
	for _, cut := range []int{1, 2, 63, 64, 96, 97, 200, len(file) / 2, len(file) - 9, len(file) - 8} {
		if r := verify(t, file[:len(file)-cut], trust); r.Result != recordings.VerdictTampered {
			t.Errorf("%d bytes cut: %s: %s", cut, r.Result, r.Reason)
		}
	}
	if r := verify(t, append(slices.Clone(file), 0), trust); r.Result != recordings.VerdictTampered {
		t.Errorf("a byte more: %s", r.Result)
	}
}

// sections are the bytes of each section with its head.
func sections(file []byte) [][]byte {
	var all [][]byte
	for at := 8; len(all) < 5; {
		n := 9 + int(binary.BigEndian.Uint64(file[at+1:]))
		all, at = append(all, file[at:at+n]), at+n
	}
	return all
}

// Sections cannot be dropped, repeated or put in another order.
func TestSections(t *testing.T) {
	s := newScene(t)
	file := s.pack()
	parts := sections(file)
	join := func(p ...[]byte) []byte {
		return slices.Concat(file[:8], bytes.Join(p, nil), file[len(file)-96:])
	}
	if !bytes.Equal(join(parts...), file) {
		t.Fatal("the test takes it apart wrongly")
	}
	for i := range parts {
		named(t, "section dropped", verify(t, join(slices.Delete(slices.Clone(parts), i, i+1)...), s.trust()), "")
		named(t, "section repeated", verify(t, join(slices.Insert(slices.Clone(parts), i, parts[i])...), s.trust()), "")
		for j := range i {
			swapped := slices.Clone(parts)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			named(t, "sections swapped", verify(t, join(swapped...), s.trust()), "what stands here is not its")
		}
	}
}

// What a broker, or a thief of its key, could leave out or put in is found and named:
// the broker's own signature over the pack is right in all of these.
func TestBrokersForgeries(t *testing.T) {
	s := newScene(t)
	other := sceneWith(t, s.agent, s.broker) // another session of the same agent
	last := len(s.parts.recording) - 1
	for what, f := range map[string]struct {
		change func(c *contents)
		reason string
	}{
		"papers left out":           {func(c *contents) { c.papers = nil }, "papers that opened the session are missing"},
		"papers of another session": {func(c *contents) { c.papers = other.parts.papers }, "papers are of another recording"},
		"list left out":             {func(c *contents) { c.list = nil }, "list of countersignatures is missing"},
		"list replaced by receipts": {func(c *contents) { c.list, c.receipts = nil, concat(c.receipt[:3]) }, "list of countersignatures is missing"},
		"list of another session":   {func(c *contents) { c.list = other.parts.list }, "list of countersignatures is of another recording"},
		"list shortened": {func(c *contents) {
			c.list = slices.Concat(c.list[:28], c.list[28+witness.ReceiptSize:])
		}, "list of countersignatures does not fit"},
		"seal dropped":               {func(c *contents) { c.recording = c.recording[:last] }, "seal of the recording is missing"},
		"last segment dropped":       {func(c *contents) { c.recording = slices.Delete(slices.Clone(c.recording), last-1, last) }, "missing"},
		"segments swapped":           {func(c *contents) { c.recording[1], c.recording[2] = c.recording[2], c.recording[1] }, "segment"},
		"segment repeated":           {func(c *contents) { c.recording = slices.Insert(slices.Clone(c.recording), 2, c.recording[1]) }, "segment"},
		"segment of another session": {func(c *contents) { c.recording[1] = other.parts.recording[1] }, "continue"},
		"recording exchanged":        {func(c *contents) { c.recording = other.parts.recording }, "papers are of another recording"},
	} {
		c := s.parts
		c.recording = slices.Clone(c.recording)
		f.change(&c)
		named(t, what, verify(t, packed(t, c, s.broker), s.trust()), f.reason)
	}
}

// Receipts that the broker alone holds cannot be reordered, repeated, taken from
// another session or made for a head that the agent never signed.
func TestReceiptForgeries(t *testing.T) {
	s := newScene(t)
	other := sceneWith(t, s.agent, s.broker)
	live := s.parts
	live.recording, live.list = live.recording[:len(live.recording)-1], nil
	all := s.parts.receipt[:5]
	forged := all[2].Head
	forged.Offset++
	byNobody, err := witness.Countersigned(s.broker, forged, start)
	must(t, err)
	thief := newKey(t)
	signed, err := forged.Signed(thief)
	must(t, err)
	byThief, err := witness.Countersigned(s.broker, signed, start)
	must(t, err)
	for what, f := range map[string]struct {
		receipts []witness.Receipt
		reason   string
	}{
		"swapped":            {[]witness.Receipt{all[1], all[0], all[2]}, "not in order"},
		"repeated":           {[]witness.Receipt{all[0], all[0], all[1]}, "not in order"},
		"of another session": {[]witness.Receipt{all[0], other.parts.receipt[1]}, "of another recording"},
		"unsigned head":      {[]witness.Receipt{all[0], byNobody}, "did not sign"},
		"thief's head":       {[]witness.Receipt{all[0], byThief}, "did not sign"},
	} {
		live.receipts = concat(f.receipts)
		named(t, what, verify(t, packed(t, live, s.broker), s.trust()), f.reason)
	}
}

// A thief of the agent's key can sign anything but the broker's countersignatures.
func TestStolenAgentKey(t *testing.T) {
	s := newScene(t)
	honest := s.parts.receipt
	// The same session is recorded anew, with other words, and everything is signed.
	forged := &scene{t: t, agent: s.agent, broker: newKey(t), header: s.header, papers: s.papers, dir: t.TempDir() + "/rec"}
	forged.record("all is well\r\n")
	forged.close()
	named(t, "signed by a broker of the thief's own", verify(t, forged.pack(), s.trust()), "of no node of the broker that the trust bundle accepts")

	forged.relist(honest)
	named(t, "with the honest receipts", verify(t, packed(t, forged.parts, s.broker), s.trust()), "countersigned another content")
	forged.relist(honest[:1])
	named(t, "with the first honest receipt", verify(t, packed(t, forged.parts, s.broker), s.trust()), "countersign")
	forged.relist(nil)
	named(t, "with none", verify(t, packed(t, forged.parts, s.broker), s.trust()), "not countersigned to its end")

	// The honest recording is rolled back to its first segment and sealed there.
	old := s.parts
	old.recording = old.recording[:2]
	old.list = nil
	old.receipts = concat(honest)
	if r := verify(t, packed(t, old, s.broker), s.trust()); r.Result != recordings.VerdictLive || !strings.Contains(r.Reason, "more than is here") {
		t.Errorf("rolled back: %s: %s", r.Result, r.Reason)
	}
	s.relist(honest[:len(honest)-1])
	named(t, "list without its last", verify(t, s.pack(), s.trust()), "not countersigned to its end")

	// The thief changes who allowed it.
	s.relist(honest)
	p := s.papers
	p.Approvers = slices.Clone(p.Approvers)
	p.Approvers[0].Person.Sub = "berta"
	s.signPapers(p)
	named(t, "another approver", verify(t, s.pack(), s.trust()), "other approvers")
	p = s.papers
	p.Grant = []byte(strings.Replace(string(p.Grant), `"maxs":1800`, `"maxs":1700`, 1))
	s.signPapers(p)
	named(t, "another grant", verify(t, s.pack(), s.trust()), "under another grant")
	p = s.papers
	p.Engineer.Proof.Salt = make([]byte, 32)
	s.signPapers(p)
	named(t, "another salt", verify(t, s.pack(), s.trust()), "do not belong together")
	p = s.papers
	p.Engineer.Key = p.Approvers[0].Key
	s.signPapers(p)
	named(t, "another provider's key", verify(t, s.pack(), s.trust()), "does not hold")
	p = s.papers
	p.Engineer.Received = p.Engineer.Received.AddDate(0, 0, 1)
	s.signPapers(p)
	named(t, "another time of receipt", verify(t, s.pack(), s.trust()), "does not hold")
}

func (s *scene) signPapers(p exchange.Papers) {
	s.t.Helper()
	var err error
	s.parts.papers, err = exchange.SignPapers(s.agent, p)
	must(s.t, err)
}

// A thief of the broker's key cannot change what the agent signed, nor its list.
func TestStolenBrokerKey(t *testing.T) {
	s := newScene(t)
	later := slices.Clone(s.parts.receipt)
	r, err := witness.Countersigned(s.broker, later[0].Head, start.AddDate(-1, 0, 0))
	must(t, err)
	later[0] = r
	thief := newKey(t)
	list, err := witness.SignList(thief, s.id(), later)
	must(t, err)
	c := s.parts
	c.list = list
	named(t, "backdated", verify(t, packed(t, c, s.broker), s.trust()), "list of countersignatures does not fit")
	papers, err := exchange.SignPapers(thief, s.papers)
	must(t, err)
	c = s.parts
	c.papers = papers
	named(t, "papers of the thief", verify(t, packed(t, c, s.broker), s.trust()), "agent's signature under them")
	own := &scene{t: t, agent: thief, broker: s.broker, header: s.header, papers: s.papers, dir: t.TempDir() + "/rec"}
	own.header.Agent = own.fingerprint()
	own.record("all is well\r\n")
	own.close()
	if r := verify(t, own.pack(), s.trust()); r.Result == recordings.VerdictIntact || r.Result == recordings.VerdictLive {
		t.Errorf("an agent of the thief's own: %s: %s", r.Result, r.Reason)
	}
}

// Packs come from strangers: whatever the bytes, the answer is a verdict.
func FuzzVerify(f *testing.F) {
	s := newScene(f)
	file := s.pack()
	f.Add(file)
	f.Add(file[:100])
	f.Add([]byte("SALYPAK1"))
	f.Add(append([]byte("SALYPAK1\x01"), bytes.Repeat([]byte{0xff}, 200)...))
	trust := []session.Trust{s.trust()}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := exchange.Verify(t.Context(), bytes.NewReader(b), int64(len(b)), trust)
		if r.Result == recordings.VerdictIntact && !bytes.Equal(b, file) && exchange.IsPack(bytes.NewReader(b)) {
			t.Errorf("another pack of %d bytes is intact", len(b))
		}
	})
}
