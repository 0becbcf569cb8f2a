package exchange

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// result is the verdict over a pack in which everything fits.
func (c *check) result() Result {
	r := Result{Result: c.recording.Result, Segment: c.recording.Segment, Offset: c.recording.Offset, Reason: c.recording.Reason, header: c.recording.Header()}
	if c.ahead > 0 {
		r.Reason += fmt.Sprintf("; the broker countersigned more than is here, up to %s", stamp(c.receipts[len(c.receipts)-1].Time()))
	}
	if c.lost > 0 {
		r.Reason += fmt.Sprintf("; %d countersigned states of its last moments were lost", c.lost)
	}
	r.lines = append(r.lines, c.recording.Explain()...)
	r.lines = append(r.lines, c.whoAsked()...)
	r.lines = append(r.lines, c.whoAllowed()...)
	r.lines = append(r.lines, c.countersigned()...)
	r.lines = append(r.lines, c.inLog()...)
	r.lines = append(r.lines, c.unproven()...)
	return r
}

func (c *check) whoAsked() []string {
	if c.audited == nil {
		return nil
	}
	q, e := c.audited.Request, c.audited.Engineer
	lines := []string{fmt.Sprintf("Who asked: %q, on %s, for %s of %s, work order %q: %q.", e.Receipt.Person.Shown(),
		stamp(e.Receipt.Received), strings.Join(q.Services, ", "), q.Asset, q.Ref, q.Reason)}
	return append(lines, "  "+proven(e, "request"))
}

func (c *check) whoAllowed() []string {
	if c.audited == nil {
		return nil
	}
	var lines []string
	g := c.audited.Grant
	for _, a := range c.audited.Approvers {
		lines = append(lines, fmt.Sprintf("Who allowed it: %q, on %s, %s.", a.Receipt.Person.Shown(), stamp(a.Receipt.Received), by(a.Receipt)))
		if a.Receipt.Proof.Token != "" {
			lines = append(lines, "  "+proven(a, "grant"))
		}
		if a.Receipt.Passkey != nil {
			lines = append(lines, "  "+provenByKey(a))
		}
	}
	return append(lines, fmt.Sprintf("What was allowed: %s of %s, %s, %s, between %s and %s, at most %s.", strings.Join(g.Services, ", "), g.Asset,
		g.Class, channels(g.Channels), stamp(time.Unix(g.NBF, 0)), stamp(time.Unix(g.EXP, 0)), time.Duration(g.MaxS)*time.Second))
}

// inLog says what the audit log holds of it.
func (c *check) inLog() []string {
	if c.logged == nil {
		return nil
	}
	lines := []string{fmt.Sprintf("In the audit log: entry %d of the log %q, that this very seal arrived on %s; proved against a checkpoint of %d entries.",
		c.logged.event.Seq, c.logged.log.Origin, stamp(c.logged.event.Time), c.logged.log.Size)}
	for _, by := range c.logged.by {
		lines = append(lines, fmt.Sprintf("  The node %s cosigned that checkpoint on %s.", by.Node.Origin, stamp(by.At)))
	}
	return lines
}

func channels(all []session.Channel) string {
	words := make([]string, 0, len(all))
	for _, c := range all {
		words = append(words, string(c))
	}
	return strings.Join(words, ", ")
}

// proven says what was found out about a token.
func proven(f grant.Finding, document string) string {
	if errors.Is(f.Err, grant.ErrNotPinned) {
		return fmt.Sprintf("Not verified: no trust bundle names the identity provider %q.", f.Receipt.Person.Iss)
	}
	return fmt.Sprintf("Verified again: the token of %s is signed with its key %q and was made for exactly this %s.", f.Receipt.Person.Iss, f.Receipt.KeyID, document)
}

// by is with what somebody allowed it.
func by(r grant.Receipt) string {
	switch {
	case r.Passkey == nil:
		return "by signing in"
	case r.Proof.Token == "":
		return "by a passkey, without signing in"
	}
	return "by signing in and by a passkey"
}

// provenByKey says what was found out about a passkey's answer.
func provenByKey(f grant.Finding) string {
	name := session.ConsoleKey{ID: f.Receipt.Passkey.Key.ID}.Name()
	if errors.Is(f.Err, grant.ErrNoKey) {
		return fmt.Sprintf("Not verified: no trust bundle names the passkey %s; the hospital's newest may (sallyport-agent trust export).", name)
	}
	return fmt.Sprintf("Verified again: the passkey %s, which the trust bundle names as theirs, recognised its user on %s and signed exactly this grant, on the agent's own page %s.",
		name, stamp(f.Receipt.Passkey.At), f.Receipt.Passkey.Page)
}

func (c *check) countersigned() []string {
	if len(c.receipts) == 0 {
		return []string{"Countersigned: nothing yet."}
	}
	first, last := c.receipts[0], c.receipts[len(c.receipts)-1]
	upTo := fmt.Sprintf("byte %d of segment %d", last.Head.Offset, last.Head.Segment)
	if c.closed {
		upTo = "its end"
	}
	times := "once"
	if n := len(c.receipts); n > 1 {
		times = fmt.Sprintf("%d times", n)
	}
	who := c.vouchers()
	by := who[0]
	if len(who) > 1 {
		by = fmt.Sprintf("%d nodes of the broker", len(who))
	}
	lines := []string{fmt.Sprintf("Countersigned: %s by %s, first on %s, last on %s, up to %s.", times, by, stamp(first.Time()), stamp(last.Time()), upTo)}
	if len(who) > 1 {
		for _, w := range who {
			lines = append(lines, "  By "+w+".")
		}
	}
	if c.ahead > 0 {
		lines = append(lines, fmt.Sprintf("  %d of them are about more than is here: fetch it again for the rest.", c.ahead))
	}
	if c.lost > 0 {
		lines = append(lines, fmt.Sprintf("  %d of them are about the last moments before the recorder was lost, which were not saved.", c.lost))
	}
	return lines
}

// vouchers are the nodes that countersigned, by the names that the hospital knows them
// by, in the order in which they first did.
func (c *check) vouchers() []string {
	var keys []string
	count := map[string]int{}
	for _, r := range c.receipts {
		name := fmt.Sprintf("the broker (key %s)", session.Fingerprint(r.Key()))
		if n, ok := c.nodes.Of(r.Key()); ok {
			name = fmt.Sprintf("the broker's node %s (key %s)", n.Origin, session.Fingerprint(r.Key()))
		}
		if count[name]++; count[name] == 1 {
			keys = append(keys, name)
		}
	}
	if len(keys) > 1 {
		for i, name := range keys {
			keys[i] = fmt.Sprintf("%s, %d times", name, count[name])
		}
	}
	return keys
}

// unproven lists what nobody can tell from this file.
func (c *check) unproven() []string {
	var lines []string
	say := func(format string, args ...any) {
		lines = append(lines, "Not verified: "+fmt.Sprintf(format, args...))
	}
	switch {
	case c.trust == nil:
		say("who asked and who allowed it: that takes the trust bundle of the site.")
	case len(c.nodes) == 0:
		say("whose countersigning key %s is: the trust bundle names no broker.", session.Fingerprint(c.broker))
	}
	if c.papers == nil {
		say("who asked and who allowed it: the papers have not arrived.")
	} else if c.trust != nil {
		say("%s", "that the identity providers published the keys that the agent kept, and how many approvals its policy asked for: both are the agent's word."+c.groupsWord())
	}
	if c.logged == nil {
		say("an entry in the audit log: the pack holds no proof of one.")
	}
	if c.recording.Result == recordings.VerdictLive {
		say("%s.", c.recording.Reason)
	}
	return lines
}

// groupsWord is what else the agent alone says where passkeys were used.
func (c *check) groupsWord() string {
	if c.audited != nil && slices.ContainsFunc(c.audited.Approvers, func(f grant.Finding) bool { return f.Receipt.Passkey != nil }) {
		return " So is that the owner of a passkey was an approver when it was registered."
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
