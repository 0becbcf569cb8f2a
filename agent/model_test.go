package agent

import (
	"context"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// believed is what the model holds of one request: facts alone, as a person would
// keep them on paper.
type believed struct {
	req       grant.Request
	sent      link.Deliver
	rid, gid  session.ID
	grantDoc  []byte
	approvers []string
	keys      map[string]time.Time // when each was activated; zero for the request's own
	received  time.Time
	withdrawn time.Time
	granted   time.Time
	opened    time.Time
	deadline  time.Time
	ended     time.Time
	reason    session.EndReason
	frozen    map[string]bool
	shut      bool // nothing of it opens until a restart, whatever the time is
	parent    *believed
}

func (b *believed) pending() bool { return b.granted.IsZero() && b.withdrawn.IsZero() }
func (b *believed) open() bool    { return !b.granted.IsZero() && b.ended.IsZero() }
func (b *believed) live(now time.Time) bool {
	return b.open() && !b.opened.IsZero() && now.Before(b.deadline)
}

// notAfter is when nothing can be opened any more.
func (b *believed) notAfter() time.Time {
	if !b.opened.IsZero() {
		return b.deadline
	}
	return time.Unix(b.req.EXP, 0)
}

// longest is when a session that opened at a time would end by this document.
func (b *believed) longest(opened time.Time) time.Time {
	return session.Deadline(opened, time.Duration(b.req.MaxS)*time.Second, time.Unix(b.req.EXP, 0))
}

func (b *believed) status(now time.Time) session.Status {
	return session.RequestFacts{
		NotAfter: b.notAfter(), Withdrawn: b.withdrawn, Granted: b.granted,
		Session: session.SessionFacts{Opened: b.opened, Deadline: b.deadline, Ended: b.ended, Reason: b.reason},
	}.Status(now)
}

// fresh: the engineer has proven lately that they are one.
func (b *believed) fresh(now time.Time) bool {
	if !now.After(b.received.Add(time.Hour)) {
		return true
	}
	for _, at := range b.keys {
		if !at.IsZero() && !now.After(at.Add(15*time.Minute)) {
			return true
		}
	}
	return false
}

func (b *believed) end(reason session.EndReason, now time.Time) {
	if b.open() {
		b.ended, b.reason, b.frozen = now, reason, map[string]bool{}
	}
}

// enough is the quorum of an asset, written down a second time.
func enough(asset string, who []string) bool {
	if asset == "CT" {
		return len(who) >= 1
	}
	for _, it := range who {
		for _, modality := range who {
			if it != modality && slices.Contains(groupsOf[it], "it") && slices.Contains(groupsOf[modality], "modality") {
				return true
			}
		}
	}
	return false
}

// life is what takes deliveries, under test, beside the model.
type life struct {
	s          *site
	dir        string
	deliveries *deliveries
	all        []*believed
}

func (l *life) deliver(t *rapid.T, in link.Deliver, want bool) link.Verdict {
	v := l.deliveries.deliver(context.Background(), in)
	if v.OK != want {
		t.Fatalf("%s: ok %t, want %t: %s (%s)", in.Kind, v.OK, want, v.Message, v.Kind)
	}
	if !v.OK && (v.Kind == session.Internal || v.Message == "" || v.Next == "") {
		t.Fatalf("%s: refused without a proper word: %+v", in.Kind, v)
	}
	return v
}

func (l *life) pick(t *rapid.T) *believed {
	for len(l.all) == 0 {
		l.ask(t)
	}
	return l.all[rapid.IntRange(0, len(l.all)-1).Draw(t, "which")]
}

func (l *life) ask(t *rapid.T) {
	if len(l.all) >= 8 {
		return
	}
	eng := rapid.SampledFrom([]string{"eva", "ed"}).Draw(t, "engineer")
	signer := rapid.SampledFrom([]string{eng, eng, eng, "eva", "mallory"}).Draw(t, "signer")
	ahead := rapid.SampledFrom([]int64{0, 0, 0, 0, 1800, 3600, 7200, 3 * 86400, 31 * 86400}).Draw(t, "ahead")
	keyed := rapid.Bool().Draw(t, "keyed")
	r := grant.NewRequest()
	r.Site, r.Asset, r.Services = "NGH", rapid.SampledFrom([]string{"CT", "CT", "MR"}).Draw(t, "asset"), []string{"ssh"}
	r.Class, r.Channels, r.Eng = session.Observe, []session.Channel{session.Shell}, l.s.engineer(eng)
	r.NBF = l.s.now.Unix() + ahead
	r.EXP = r.NBF + rapid.SampledFrom([]int64{600, 4 * 3600, 4 * 3600, 24 * 3600, 25 * 3600}).Draw(t, "window")
	r.MaxS = rapid.SampledFrom([]int64{600, 3600, 3600, 8 * 3600, 9 * 3600}).Draw(t, "longest")
	if keyed {
		r.Key = newKey()
	}
	good := signer == eng && ahead <= 30*86400 && r.EXP-r.NBF <= 24*3600 && r.MaxS <= 8*3600 && (!keyed || ahead <= 3600) && (keyed || ahead > 0)
	l.take(t, r, signer, nil, good)
}

// extension asks for more time of any session, by anybody.
func (l *life) extension(t *rapid.T) {
	p := l.pick(t)
	if len(l.all) >= 14 {
		return
	}
	eng := rapid.SampledFrom([]string{p.req.Eng.Sub, p.req.Eng.Sub, "eva", "ed"}).Draw(t, "engineer")
	r := grant.NewRequest()
	r.Kind, r.Parent = grant.KindExtension, idText(p.gid)
	r.Site, r.Asset, r.Services, r.Class, r.Channels = "NGH", p.req.Asset, p.req.Services, p.req.Class, p.req.Channels
	r.Eng, r.NBF = l.s.engineer(eng), l.s.now.Unix()
	r.EXP = r.NBF + rapid.SampledFrom([]int64{600, 7200, 24 * 3600}).Draw(t, "window")
	r.MaxS = rapid.SampledFrom([]int64{600, 7200, 8 * 3600}).Draw(t, "longest")
	more := rapid.SampledFrom([]string{"", "", "", "", "class", "channel"}).Draw(t, "more")
	switch more {
	case "class":
		r.Class = session.Disruptive
	case "channel":
		r.Channels = []session.Channel{session.Exec, session.Shell}
	}
	good := more == "" && eng == p.req.Eng.Sub && l.extendable(r, p)
	l.take(t, r, eng, p, good)
}

func idText(id session.ID) string {
	if id.IsZero() {
		return session.NewID().Text()
	}
	return id.Text()
}

func (l *life) extendable(r grant.Request, p *believed) bool {
	return p.parent == nil && p.live(l.s.now) && r.EXP-p.req.NBF <= 24*3600
}

func (l *life) take(t *rapid.T, r grant.Request, signer string, parent *believed, good bool) {
	in := l.s.request(t, r, signer)
	l.deliver(t, in, good)
	if !good {
		return
	}
	b := &believed{req: r, sent: in, rid: idOf(r.RID), received: l.s.now, parent: parent, keys: map[string]time.Time{}, frozen: map[string]bool{}}
	b.gid, b.grantDoc = l.s.grantOf(t, r, in.Request)
	if r.Key != "" {
		b.keys[r.Key] = time.Time{}
	}
	l.all = append(l.all, b)
}

func (l *life) approve(t *rapid.T) {
	b := l.pick(t)
	who := rapid.SampledFrom([]string{"anna", "bernd", "carl", "dora", "mallory", "eva"}).Draw(t, "approver")
	now := l.s.now
	in := l.s.approval(b.sent, b.grantDoc, who)
	if b.open() && !b.shut || b.parent != nil && !b.granted.IsZero() {
		// What was admitted once is said again, to whoever asks, and changes nothing.
		if v := l.deliver(t, in, true); !v.Admitted {
			t.Fatalf("%+v", v)
		}
		return
	}
	good := b.pending() && now.Before(time.Unix(b.req.EXP, 0)) && slices.Contains(groupsOf[who], session.GroupApprovers)
	if b.parent != nil {
		good = good && l.extendable(b.req, b.parent)
	}
	if b.req.Asset == "MR" { // somebody who fills a place that is open
		fits := slices.Contains(groupsOf[who], "it") || slices.Contains(groupsOf[who], "modality")
		helps := len(b.approvers) == 0 || enough("MR", append(slices.Clone(b.approvers), who))
		good = good && fits && (helps || slices.Contains(b.approvers, who))
		if enough("MR", b.approvers) && !slices.Contains(b.approvers, who) {
			good = false
		}
	}
	with := b.approvers
	if good && !slices.Contains(with, who) {
		with = append(slices.Clone(with), who)
	}
	admitted := good && enough(b.req.Asset, with)
	if admitted && b.parent != nil && !b.longest(b.parent.opened).After(b.parent.deadline) {
		b.approvers, good, admitted = with, false, false // it would not make the session longer
	}
	if v := l.deliver(t, in, good); v.Admitted != admitted {
		t.Fatalf("admitted %t, want %t: %+v", v.Admitted, admitted, v)
	}
	if !good {
		return
	}
	b.approvers = with
	if !admitted {
		return
	}
	b.granted = now
	if b.parent != nil {
		b.parent.deadline = b.longest(b.parent.opened)
		b.end(session.Completed, now)
	}
}

func (l *life) activate(t *rapid.T) {
	b := l.pick(t)
	who := rapid.SampledFrom([]string{b.req.Eng.Sub, b.req.Eng.Sub, "eva", "mallory"}).Draw(t, "who")
	key := newKey()
	if known := slices.Sorted(maps.Keys(b.keys)); len(known) > 0 && rapid.Bool().Draw(t, "again") {
		key = known[rapid.IntRange(0, len(known)-1).Draw(t, "key")]
	}
	_, known := b.keys[key]
	good := b.open() && who == b.req.Eng.Sub && l.s.now.Before(b.notAfter()) && (known || len(b.keys) < grant.MaxKeys)
	l.deliver(t, l.s.activation(b.gid, b.grantDoc, key, who), good)
	if good {
		b.keys[key] = l.s.now
	}
}

// connect tries every door with one key.
func (l *life) connect(t *rapid.T) {
	b := l.pick(t)
	key := newKey()
	if known := slices.Sorted(maps.Keys(b.keys)); len(known) > 0 {
		key = known[rapid.IntRange(0, len(known)-1).Draw(t, "key")]
	}
	_, known := b.keys[key]
	now := l.s.now
	first := b.opened.IsZero()
	good := known && b.open() && now.Before(b.notAfter()) && (!first || !now.Before(time.Unix(b.req.NBF, 0)) && b.fresh(now))
	if first { // a session of theirs that is frozen holds the others
		for _, o := range l.all {
			good = good && !(o != b && len(o.frozen) > 0 && o.req.Eng == b.req.Eng && o.req.Asset == b.req.Asset && o.live(now))
		}
	}
	ticket, err := l.deliveries.ledger.ByKeyFor(key, b.req.Asset, "ssh", now)
	if (err == nil) != good {
		t.Fatalf("the key opens %t, want %t: %v", err == nil, good, err)
	}
	if _, err := l.deliveries.ledger.ByKeyFor(key, map[string]string{"CT": "MR", "MR": "CT"}[b.req.Asset], "ssh", now); err == nil {
		t.Fatal("the key opens another scanner")
	}
	if first {
		for _, o := range l.all {
			good = good && !(o != b && o.req.Eng == b.req.Eng && o.req.Asset == b.req.Asset && o.live(now))
		}
	}
	facts, err := l.deliveries.ledger.Begin(ticket, now)
	if (err == nil) != good {
		t.Fatalf("begun %t, want %t: %v", err == nil, good, err)
	}
	if !good {
		return
	}
	if first {
		b.opened, b.deadline = now, b.longest(now)
	}
	if ticket.ID() != b.gid || !facts.Opened.Equal(b.opened) || !facts.Deadline.Equal(b.deadline) {
		t.Fatalf("%+v, want %v to %v", facts, b.opened, b.deadline)
	}
	if kept, ok := l.deliveries.ledger.Facts(b.gid); !ok || kept.Deadline.Sub(now) != b.deadline.Sub(now) {
		t.Fatalf("%+v, %t, kept with a deadline of %v", kept, ok, b.deadline)
	}
}

func (l *life) freeze(t *rapid.T) {
	b := l.pick(t)
	good := b.live(l.s.now)
	thaw := rapid.Bool().Draw(t, "thaw")
	cause := rapid.SampledFrom([]string{causeLocal, causeBroker}).Draw(t, "cause")
	switch {
	case cause == causeBroker && thaw:
		l.deliver(t, link.Deliver{Kind: "thaw", ID: b.gid.Session()}, good)
	case cause == causeBroker:
		l.deliver(t, link.Deliver{Kind: "freeze", ID: b.gid.Session()}, good)
	default:
		do := l.deliveries.live.Freeze
		if thaw {
			do = l.deliveries.live.Thaw
		}
		if _, err := do(b.gid, cause, "x"); (err == nil) != good {
			t.Fatalf("%v, want %t", err, good)
		}
	}
	if good {
		if delete(b.frozen, cause); !thaw {
			b.frozen[cause] = true
		}
	}
}

func (l *life) stop(t *rapid.T) {
	b, now := l.pick(t), l.s.now
	switch rapid.SampledFrom([]string{"revoke", "withdraw", "kill"}).Draw(t, "how") {
	case "revoke":
		l.deliver(t, link.Deliver{Kind: "revoke", ID: b.gid.Session()}, !b.granted.IsZero())
		b.end(session.RevokedGrant, now)
	case "kill":
		if err := l.deliveries.live.End(b.gid, session.KilledLocal, "x"); (err == nil) != !b.granted.IsZero() {
			t.Fatalf("%v", err)
		}
		b.end(session.KilledLocal, now)
	case "withdraw":
		good := !b.open() || b.opened.IsZero()
		l.deliver(t, link.Deliver{Kind: "withdraw", ID: b.rid.Request()}, good)
		switch {
		case b.pending():
			b.withdrawn = now
		case good:
			b.end(session.RevokedGrant, now)
		}
	}
}

func (l *life) disable(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "rarely") > 0 {
		return
	}
	l.deliver(t, link.Deliver{Kind: "disable"}, false)
	who, now := l.s.engineer(rapid.SampledFrom([]string{"eva", "ed"}).Draw(t, "who")), l.s.now
	l.deliver(t, link.Deliver{Kind: "disable", By: &session.Person{Identity: who}}, true)
	for _, b := range l.all {
		if b.req.Eng != who {
			continue
		}
		b.shut = true
		switch b.status(now) {
		case session.Pending:
			b.withdrawn = now
		case session.Approved:
			b.end(session.RevokedGrant, now)
		}
		if s := b.status(now); s == session.Pending || s == session.Approved {
			t.Fatalf("still %s", s)
		}
	}
}

func (l *life) pass(t *rapid.T) {
	l.s.now = l.s.now.Add(time.Duration(rapid.SampledFrom([]int{1, 1, 60, 60, 599, 900, 901, 1800, 3600, 7200, 86400}).Draw(t, "seconds")) * time.Second)
}

func (l *life) restart(t *rapid.T) {
	if err := l.deliveries.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	l.deliveries = l.s.deliveries(t, l.dir)
	for _, b := range l.all {
		b.shut = false
	}
}

// check compares everything that can be seen with what the model holds.
func (l *life) check(t *rapid.T) {
	now := l.s.now
	seen := l.deliveries.ledger.Entries(now)
	if len(seen) != len(l.all) {
		t.Fatalf("%d entries, want %d", len(seen), len(l.all))
	}
	for _, b := range l.all {
		i := slices.IndexFunc(seen, func(e ledger.Entry) bool { return e.Request == b.rid })
		if i < 0 {
			t.Fatal("a request is forgotten")
		}
		e := seen[i]
		s := e.Facts.Session
		switch {
		case e.Status != b.status(now):
			t.Fatalf("%s, want %s", e.Status, b.status(now))
		case e.Session.IsZero() != b.granted.IsZero():
			t.Fatal("granted or not?")
		case !s.Opened.Equal(b.opened) || !s.Deadline.Equal(b.deadline) || s.Ended.IsZero() != b.ended.IsZero() || s.Reason != b.reason:
			t.Fatalf("%+v, want %+v", s, b)
		case !slices.Equal(e.Frozen, slices.Sorted(maps.Keys(b.frozen))):
			t.Fatalf("frozen %v, want %v", e.Frozen, b.frozen)
		case !e.Session.IsZero() && !enough(b.req.Asset, b.approvers):
			t.Fatal("a session without its grant")
		}
		if want := len(b.keys); b.open() && !b.shut && l.deliveries.ledger.Keys(b.gid) != want {
			t.Fatalf("%d keys, want %d", l.deliveries.ledger.Keys(b.gid), want)
		}
	}
}

// Whatever engineers, hospital, broker, time and restarts do, in whatever order: who
// may do what, and how everything stands, is what the facts on paper say.
func TestLifeOfAGrant(t *testing.T) {
	s, parent := newSite(t), quickDir(t)
	start := s.now
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(parent, "run")
		must(t, err)
		defer os.RemoveAll(dir)
		s.now = start
		l := &life{s: s, dir: dir, deliveries: s.deliveries(t, dir)}
		defer func() { _ = l.deliveries.ledger.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"ask": l.ask, "extension": l.extension, "approve": l.approve, "approve again": l.approve, "approve once more": l.approve, "extension again": l.extension, "activate": l.activate,
			"connect": l.connect, "connect again": l.connect, "connect once more": l.connect, "freeze": l.freeze, "stop": l.stop, "disable": l.disable,
			"pass": l.pass, "restart": l.restart, "": l.check,
		})
	})
}
