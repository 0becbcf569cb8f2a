package exchange

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Result is what Verify says.
type Result struct {
	Result  recordings.Verdict `json:"result"`
	Segment *int               `json:"segment"` // the first bad one
	Offset  *int64             `json:"offset"`  // of the first bad thing in the file
	Reason  string             `json:"reason"`  // one sentence without its full stop

	lines  []string
	header recordings.Header
}

// Header is the recording's, as far as it could be read: what the result is about.
func (r Result) Header() recordings.Header { return r.header }

// Explain says the result in plain words, a line each, for people.
func (r Result) Explain() []string { return r.lines }

// Verify checks an evidence pack, or a recording alone, against the trust bundles.
// It needs nothing else: no account, no network, no clock. The vocabulary is that of
// recordings.Verify; whatever in a pack does not fit the rest of it is tampered.
func Verify(ctx context.Context, r io.ReaderAt, size int64, trust []session.Trust) Result {
	if !IsPack(r) {
		v := recordings.Verify(r, size, trust)
		return Result{v.Result, v.Segment, v.Offset, v.Reason, append(v.Explain(), alone(v.Result)...), v.Header()}
	}
	p, damage := read(r, size)
	if damage != nil {
		return tampered(damage)
	}
	c := check{pack: p, heads: map[witness.Head]bool{}}
	c.recording = recordings.VerifyHeads(p.section(recordingSection), p.span[recordingSection].size, trust, func(h witness.Head) { c.heads[h] = true })
	if c.recording.Result == recordings.VerdictTampered {
		at := p.span[recordingSection].at + *c.recording.Offset
		return tampered(&recordings.Damage{Segment: c.recording.Segment, Offset: at, Reason: c.recording.Reason})
	}
	if c.trust = bundleOf(c.recording, trust); c.trust != nil {
		c.nodes = c.trust.Nodes
		if err := c.nodes.Check(); err != nil {
			return tampered(&recordings.Damage{Reason: "the trust bundle is not sound: " + err.Error()})
		}
	}
	for _, step := range []func(context.Context) *recordings.Damage{c.checkPapers, c.checkReceipts, c.checkBroker, c.checkAudit} {
		if damage := step(ctx); damage != nil {
			return tampered(damage)
		}
	}
	return c.result()
}

// alone says what a recording without a pack cannot show.
func alone(v recordings.Verdict) []string {
	if v == recordings.VerdictTampered {
		return nil
	}
	return []string{"This is the recording alone: who asked, who allowed it and what was countersigned stands in the evidence pack (sallyport recordings fetch)."}
}

// check is one verification of a pack.
type check struct {
	pack      pack
	recording recordings.Result
	heads     map[witness.Head]bool // those that stand in the recording
	trust     *session.Trust        // the bundle that names site and signer; nil: none does
	papers    *Papers
	audited   *grant.Audited
	receipts  []witness.Receipt
	closed    bool              // they are the agent's list
	lost      int               // receipts of what a crash took
	ahead     int               // receipts of what is not here yet
	nodes     session.Nodes     // of the bundle; none: it names none
	broker    ed25519.PublicKey // that sealed the pack
	logged    *logged           // the entry of the audit log that the pack proves
}

func bundleOf(r recordings.Result, trust []session.Trust) *session.Trust {
	for i, t := range trust {
		key, err := session.ParseKeyLine(t.Identity)
		if err == nil && t.V == 1 && t.Site == r.Header().Site && key.Equal(r.Signer()) {
			return &trust[i]
		}
	}
	return nil
}

func (c *check) damaged(section int, format string, args ...any) *recordings.Damage {
	return &recordings.Damage{Offset: c.pack.span[section].at, Reason: fmt.Sprintf(format, args...)}
}

// checkPapers checks who asked and who allowed it, and that it was this session.
func (c *check) checkPapers(ctx context.Context) *recordings.Damage {
	part, err := c.pack.bytes(papersSection)
	if err != nil {
		return c.damaged(papersSection, "the papers cannot be read: %v", err)
	}
	segments, _ := c.recording.Extent()
	_, sealed := c.recording.Seal()
	if len(part) == 0 {
		if sealed || segments > 0 {
			return c.damaged(papersSection, "the papers that opened the session are missing")
		}
		return nil
	}
	p, err := ParsePapers(part, c.recording.Signer())
	if err != nil {
		return c.damaged(papersSection, "the papers are not sound: %v", err)
	}
	if why := p.fit(c.recording.Header()); why != "" {
		return c.damaged(papersSection, "%s", why)
	}
	c.papers = &p
	if c.trust == nil {
		return nil
	}
	audited, err := grant.Audit(ctx, *c.trust, p.Request, p.Engineer, p.Grant, p.Approvers)
	if err != nil {
		return c.damaged(papersSection, "the papers do not belong together: %v", err)
	}
	c.audited = &audited
	for _, f := range append([]grant.Finding{audited.Engineer}, audited.Approvers...) {
		if f.Err != nil && !f.Open() {
			return c.damaged(papersSection, "the %s of %q does not hold: %v", proofOf(f.Receipt), f.Receipt.Person.Shown(), f.Err)
		}
	}
	return nil
}

// proofOf is what somebody proved their word with.
func proofOf(r grant.Receipt) string {
	switch {
	case r.Passkey == nil:
		return "sign-in token"
	case r.Proof.Token == "":
		return "passkey"
	}
	return "sign-in token or passkey"
}

// checkReceipts checks every countersignature against the recording.
func (c *check) checkReceipts(context.Context) *recordings.Damage {
	section := receiptsSection
	_, sealed := c.recording.Seal()
	c.closed = c.pack.span[receiptsSection].size > 0
	if !c.closed {
		section = countersignedSection
	}
	if c.closed != sealed {
		if sealed {
			return c.damaged(receiptsSection, "the agent's list of countersignatures is missing; every sealed recording has one")
		}
		return c.damaged(receiptsSection, "the agent closed the list of countersignatures, but the seal of the recording is missing")
	}
	id, err := session.ParseRecordingID(c.recording.Header().Recording)
	if err != nil {
		return c.damaged(recordingSection, "%v", err)
	}
	part, err := c.pack.bytes(section)
	if err != nil {
		return c.damaged(section, "the countersignatures cannot be read: %v", err)
	}
	if c.closed {
		c.receipts, err = witness.ParseList(part, c.recording.Signer(), id)
	} else {
		c.receipts, err = witness.ParseReceipts(part)
	}
	if err != nil {
		return c.damaged(section, "%v", err)
	}
	if !witness.Sorted(id, c.receipts) {
		return c.damaged(section, "the countersignatures are not in order, or of another recording")
	}
	return c.fit(section)
}

// fit checks that what was countersigned is what is here.
func (c *check) fit(section int) *recordings.Damage {
	for i, r := range c.receipts {
		switch {
		case !r.Verify():
			return c.damaged(section, "countersignature %d does not fit what it is under", i)
		case !r.Head.Verify(c.recording.Signer()):
			return c.damaged(section, "countersignature %d is under a head that the agent did not sign", i)
		case !c.accepts(r.Key()):
			return c.damaged(section, "countersignature %d is by a key (%s) of no node of the broker that the trust bundle accepts", i, session.Fingerprint(r.Key()))
		}
		if !c.stands(r.Head) {
			return c.damaged(section, "the broker countersigned another content on %s: up to byte %d of segment %d",
				stamp(r.Time()), r.Head.Offset, r.Head.Segment)
		}
	}
	if !c.closed {
		return nil
	}
	segments, chain := c.recording.Extent()
	if n := len(c.receipts); n == 0 || !c.receipts[n-1].Head.Closes(segments, chain) {
		return c.damaged(section, "the recording was not countersigned to its end")
	}
	return nil
}

// stands reports whether a countersigned head is one of this recording's, and counts
// those of what is not here: not uploaded yet, or lost in a crash.
func (c *check) stands(h witness.Head) bool {
	segments, chain := c.recording.Extent()
	if c.heads[h] || h.Closes(segments, chain) {
		return true
	}
	seal, sealed := c.recording.Seal()
	switch {
	case !sealed && (h.Segment > segments || h.Segment == segments && h.Chain == chain):
		c.ahead++
		return true
	case sealed && seal.State == recordings.Torn && (h.Segment+1 == segments || h.Segment == segments && h.Chain == chain):
		c.lost++
		return true
	}
	return false
}

// accepts reports whether a key is of a node that the hospital accepts. Where no bundle
// names nodes there is nobody to ask, and the result says so.
func (c *check) accepts(key ed25519.PublicKey) bool {
	_, ok := c.nodes.Of(key)
	return ok || len(c.nodes) == 0
}

// checkBroker checks that the pack is as a node of the broker sealed it, and that it is
// one that the hospital accepts.
func (c *check) checkBroker(context.Context) *recordings.Damage {
	key, ok := c.pack.sealed()
	at := c.pack.size - packTail
	if !ok {
		return &recordings.Damage{Offset: at, Reason: "the broker's signature over the whole pack does not fit"}
	}
	c.broker = key
	if !c.accepts(key) {
		return &recordings.Damage{Offset: at, Reason: "the pack is sealed by a key (" + session.Fingerprint(key) + ") of no node of the broker that the trust bundle accepts"}
	}
	return nil
}

func tampered(d *recordings.Damage) Result {
	r := Result{Result: recordings.VerdictTampered, Segment: d.Segment, Offset: &d.Offset, Reason: d.Reason}
	where := fmt.Sprintf("At byte %d: %s.", d.Offset, d.Reason)
	if d.Segment != nil {
		where = fmt.Sprintf("The first bad segment is number %d, at byte %d: %s.", *d.Segment, d.Offset, d.Reason)
	}
	r.lines = []string{"Tampered: this is not what was signed.", where}
	return r
}

// Countersigned reports why countersignatures are not those of a verified recording, or
// not of these nodes of the broker; nil: every one fits. heads are those that stand in the
// recording; closed says that the receipts are the agent's own list, which covers all of it.
func Countersigned(of recordings.Result, heads map[witness.Head]bool, receipts []witness.Receipt, closed bool, nodes session.Nodes) error {
	id, err := session.ParseRecordingID(of.Header().Recording)
	if err != nil {
		return err
	}
	if !witness.Sorted(id, receipts) {
		return errors.New("the countersignatures are not in order, or of another recording")
	}
	c := check{recording: of, heads: heads, receipts: receipts, closed: closed, nodes: nodes}
	if d := c.fit(receiptsSection); d != nil {
		return d
	}
	return nil
}
