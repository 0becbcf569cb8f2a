package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// paperwork is everything that one grant will need, signed beforehand.
type paperwork struct {
	asset, sub string
	rid, gid   session.ID
	doc        []byte
	receipt    grant.Receipt
	verified   grant.Verified
	keys       []string // of the request, and one to activate
	activation grant.Receipt
	extension  *paperwork
}

// sign has a request and its grant signed by all who must.
func (s *site) sign(t *testing.T, sub string, r grant.Request) *paperwork {
	t.Helper()
	ctx := context.Background()
	in := s.request(t, r, sub)
	_, receipt, err := s.verifier.CheckRequest(ctx, in.Request, grant.Proof{Token: in.Token, Salt: in.Salt}, s.now)
	must(t, err)
	gid, doc := s.grantOf(t, r, in.Request)
	var approvals []grant.Receipt
	for _, who := range map[string][]string{"CT": {"dora"}, "MR": {"anna", "bernd"}}[r.Asset] {
		yes := s.approval(in, doc, who)
		_, got, err := s.verifier.CheckApproval(ctx, in.Request, receipt, doc, grant.Proof{Token: yes.Token, Salt: yes.Salt}, s.now)
		must(t, err)
		approvals = append(approvals, got)
	}
	verified, err := s.verifier.Verify(in.Request, receipt, doc, approvals, s.now)
	must(t, err)
	return &paperwork{asset: r.Asset, sub: sub, rid: idOf(r.RID), gid: gid, doc: in.Request, receipt: receipt, verified: verified, keys: []string{r.Key}}
}

// paperworks are two grants of each of two engineers at each of two assets.
func paperworks(t *testing.T, s *site) (all []*paperwork) {
	for i := range 8 {
		sub, asset := []string{"eva", "ed"}[i%2], []string{"CT", "MR"}[i/2%2]
		r := grant.NewRequest()
		r.Site, r.Asset, r.Services, r.Class, r.Channels = "NGH", asset, []string{"ssh"}, session.Observe, []session.Channel{session.Shell}
		r.Eng, r.NBF, r.EXP, r.MaxS, r.Key = s.engineer(sub), s.now.Unix(), s.now.Unix()+4*3600, 3600, newKey()
		p := s.sign(t, sub, r)
		more := newKey()
		yes := s.activation(p.gid, p.verified.GrantBytes(), more, sub)
		var err error
		p.activation, err = s.verifier.CheckActivation(context.Background(), p.verified, more, grant.Proof{Token: yes.Token, Salt: yes.Salt}, s.now)
		must(t, err)
		p.keys = append(p.keys, more)
		x := grant.NewRequest()
		x.Kind, x.Parent = grant.KindExtension, p.gid.Text()
		x.Site, x.Asset, x.Services, x.Class, x.Channels = r.Site, r.Asset, r.Services, r.Class, r.Channels
		x.Eng, x.NBF, x.EXP, x.MaxS = r.Eng, r.NBF, r.EXP, 7200
		p.extension = s.sign(t, sub, x)
		all = append(all, p)
	}
	return all
}

// ward is an agent's ledger, engine and console with devices that count what reaches
// them, and what the operator was promised.
type ward struct {
	s      *site
	dir    string
	a      *Agent
	papers []*paperwork
	people sync.WaitGroup
	said   []string     // what was done
	ahead  atomic.Int64 // of the site's clock, this agent's

	mu     sync.Mutex
	killed map[int]bool
	causes map[int]map[string]bool // of frozen sessions
	closed map[int][]int           // what may not open while a session is frozen
	scopes map[ledger.Scope]bool
	passed int
	broken string
}

// forbidden says why no byte of a grant may pass; empty when it may. mu is held.
func (w *ward) forbidden(i int) string {
	p := w.papers[i]
	switch who := p.receipt.Person; {
	case w.killed[i]:
		return "killed"
	case len(w.causes[i]) > 0:
		return "frozen"
	default:
		for s := range w.scopes {
			if s.Covers(p.asset, who) {
				return fmt.Sprintf("frozen by %+v", s)
			}
		}
	}
	for by, others := range w.closed {
		if len(w.causes[by]) > 0 && slices.Contains(others, i) {
			return fmt.Sprintf("opened while %d is frozen", by)
		}
	}
	return ""
}

// sink is a device. What reaches it after a promise breaks the promise.
type sink struct {
	w    *ward
	i    int
	gone chan struct{}
	mu   sync.Mutex
	shut bool
}

func (d *sink) Gone() <-chan struct{} { return d.gone }
func (d *sink) Release() error        { return nil }
func (d *sink) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.shut {
		d.shut = true
		close(d.gone)
	}
	return nil
}

func (d *sink) send() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return errors.New("gone")
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.passed++
	if why := d.w.forbidden(d.i); why != "" && d.w.broken == "" {
		d.w.broken = fmt.Sprintf("a byte of %d passed: %s", d.i, why)
	}
	return nil
}

// typist is an engineer's side.
type typist struct {
	left chan struct{}
	once sync.Once
}

func (p *typist) Tell(attach.Notice)                 {}
func (p *typist) Farewell(session.EndReason, string) { _ = p.Close() }
func (p *typist) Close() error                       { p.once.Do(func() { close(p.left) }); return nil }

type silent struct{ engine.Line }

func (silent) Protocol() session.Protocol                { return session.SSH }
func (silent) Picture(*engine.Ticket) recordings.Picture { return nil }

type blank struct{}

func (blank) Record(session.Event) error    { return nil }
func (blank) Close(session.EndReason) error { return nil }

// start is an agent that comes up over what is on disk.
func (w *ward) start(t *testing.T) {
	d := w.s.deliveries(t, w.dir)
	d.ledger.LimitSessions(ledger.Limits{})
	wall := func() time.Time { return w.s.now.Add(time.Duration(w.ahead.Load())) }
	now := func() time.Time { return d.ledger.Moment(wall()) }
	d.now = now
	e, err := engine.New(engine.Config{
		Inner:   new(tls.Config),
		Tickets: engine.FromLedger(d.ledger), Lines: []engine.Line{silent{}}, Protocol: func(string, string) session.Protocol { return session.SSH },
		Recordings: func(recordings.Header, recordings.Picture) (session.Recorder, error) { return blank{}, nil },
		Report:     func(link.SessionReport) {}, Site: "NGH", Agent: w.s.agent, Log: slog.New(slog.DiscardHandler), Now: now,
	})
	must(t, err)
	d.live, d.extend, d.holds = e, e.Extend, &holds{ledger: d.ledger, live: e}
	w.a = &Agent{ledger: d.ledger, engine: e, counting: counting{wall: wall}, log: slog.New(slog.DiscardHandler)}
	w.a.rules.Store(&Config{Assets: []Asset{{Name: "CT"}, {Name: "MR"}}})
	w.a.deliveries.Store(d)
	w.a.resume(nil)
	e.LinkState(true, now())
}

func (w *ward) stop(t *testing.T) {
	w.a.engine.Close()
	w.people.Wait()
	must(t, w.a.ledger.Close())
}

// attach is an engineer who comes with a key and types for as long as they can.
func (w *ward) attach(i, key int) (settled <-chan struct{}) {
	p, e := w.papers[i], w.a.engine
	v := engine.Visit{Asset: p.asset, Service: "ssh"}
	side, done := &typist{left: make(chan struct{})}, make(chan struct{})
	var once sync.Once
	ready := func() { once.Do(func() { close(done) }) }
	w.people.Go(func() {
		defer ready()
		_ = e.Connect(context.Background(), v, session.SSH, side, func(ctx context.Context, c *engine.Conn) session.EndReason {
			t, err := e.Find(p.keys[key], v)
			if err != nil || c.Admit(t) != nil {
				return session.Failed
			}
			d := &sink{w: w, i: i, gone: make(chan struct{})}
			if _, err := c.Open(ctx, t, func(context.Context) (engine.Device, error) { return d, nil }); err != nil {
				return session.Failed
			}
			for gate := c.Gate(side.left, d.gone); gate.Pass(d.send) == nil; runtime.Gosched() {
				ready()
			}
			return session.Completed
		})
	})
	return done
}

func (w *ward) say(format string, args ...any) { w.said = append(w.said, fmt.Sprintf(format, args...)) }

// promised changes what holds, before or after a step that says so.
func (w *ward) promised(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// opened are the sessions of an engineer at an asset that have begun.
func (w *ward) opened(i int) bool {
	f, ok := w.a.ledger.Facts(w.papers[i].gid)
	return ok && !f.Opened.IsZero()
}

func (w *ward) target(r *rand.Rand) (console.Target, ledger.Scope) {
	p := w.papers[r.IntN(len(w.papers))]
	t := []console.Target{{Asset: p.asset}, {Engineer: p.sub}, {All: true}}[min(r.IntN(5)/2, 2)]
	return t, scopeOf(t)
}

// step does one thing.
func (w *ward) step(t *testing.T, r *rand.Rand) {
	i := r.IntN(len(w.papers))
	p, l, c, now := w.papers[i], w.a.ledger, controls{w.a}, w.a.deliveries.Load().now()
	switch n := r.IntN(29); {
	case n < 5:
		known := l.Pend(p.doc, p.receipt)
		_, err := l.Admit(p.verified, now)
		w.say("admit %d: %v, %v", i, known, err)
	case n < 13:
		key := r.IntN(2)
		settled := w.attach(i, key)
		if wait := r.IntN(2) == 0; wait {
			select {
			case <-settled:
			case <-time.After(time.Millisecond): // it is held back
			}
		}
		w.say("attach %d with key %d", i, key)
	case n < 14:
		_, err := l.Activate(p.gid, p.keys[1], p.activation, now)
		w.say("activate %d: %v", i, err)
	case n < 15:
		x := p.extension
		_ = l.Pend(x.doc, x.receipt)
		ticket, err := l.Admit(x.verified, now)
		if err == nil {
			w.a.deliveries.Load().admit(ticket, x.verified)
		}
		w.say("extend %d: %v", i, err)
	case n < 16:
		w.say("restart")
		w.stop(t)
		w.start(t)
	case n < 18:
		w.kill(t, r, i, c)
	case n < 21:
		w.freeze(t, r, i, c)
	case n < 22:
		by := []time.Duration{time.Second, time.Minute, 20 * time.Minute, -time.Second, -time.Minute, -time.Hour}[r.IntN(6)]
		w.ahead.Add(int64(by))
		w.say("the clock moves by %v", by)
	case n < 24:
		w.revoke(r, i)
	default:
		w.thaw(r, i, c)
	}
}

func (w *ward) kill(t *testing.T, r *rand.Rand, i int, c controls) {
	if r.IntN(2) == 0 {
		_, err := c.Kill(console.Target{Session: w.papers[i].gid.Session()})
		w.say("kill %d: %v", i, err)
		if err == nil {
			w.promised(func() { w.killed[i] = true; delete(w.causes, i) })
		}
		return
	}
	var there []int
	target, scope := w.target(r)
	for j, p := range w.papers {
		if scope.Covers(p.asset, p.receipt.Person) && w.known(p) {
			there = append(there, j)
		}
	}
	_, err := c.Kill(target)
	w.say("kill %+v: %v", scope, err)
	if err != nil && len(there) > 0 {
		t.Fatalf("the kill failed: %v", err)
	}
	w.ended(there)
}

// revoke is the broker's word: a grant is revoked, or all of an engineer ends.
func (w *ward) revoke(r *rand.Rand, i int) {
	p, d := w.papers[i], w.a.deliveries.Load()
	if r.IntN(4) > 0 {
		_, err := d.revoke(context.Background(), link.Deliver{Kind: link.DeliverRevoke, ID: p.gid.Session()})
		w.say("revoke %d: %v", i, err)
		if err == nil {
			w.promised(func() { w.killed[i] = true; delete(w.causes, i) })
		}
		return
	}
	var there []int
	for j, q := range w.papers {
		if q.sub == p.sub && w.known(q) {
			there = append(there, j)
		}
	}
	_, err := d.disable(context.Background(), link.Deliver{Kind: link.DeliverDisable, By: &p.receipt.Person})
	w.say("disable %s: %v", p.sub, err)
	if err == nil {
		w.ended(there)
	}
}

// known reports whether the agent has heard of a request.
func (w *ward) known(p *paperwork) bool {
	return slices.ContainsFunc(w.a.ledger.Entries(w.a.deliveries.Load().now()), func(e ledger.Entry) bool { return e.Request == p.rid })
}

func (w *ward) ended(all []int) {
	w.promised(func() {
		for _, j := range all {
			w.killed[j] = true
			delete(w.causes, j)
		}
	})
}

func (w *ward) freeze(t *testing.T, r *rand.Rand, i int, c controls) {
	if r.IntN(2) == 0 {
		cause := []string{causeLocal, causeBroker}[r.IntN(2)]
		_, err := w.a.engine.Freeze(w.papers[i].gid, cause, "x")
		w.say("freeze %d (%s): %v", i, cause, err)
		if err != nil {
			return
		}
		var shut []int
		for j, p := range w.papers {
			if j != i && p.asset == w.papers[i].asset && p.sub == w.papers[i].sub && !w.opened(j) {
				shut = append(shut, j)
			}
		}
		w.promised(func() {
			if w.causes[i] == nil {
				w.causes[i] = map[string]bool{}
			}
			w.causes[i][cause], w.closed[i] = true, shut
		})
		return
	}
	target, scope := w.target(r)
	_, err := c.Freeze(target)
	w.say("freeze %+v: %v", scope, err)
	if err == nil {
		w.promised(func() { w.scopes[scope] = true })
	} else if session.KindOf(err) != session.Invalid {
		t.Fatalf("the freeze failed: %v", err)
	}
}

func (w *ward) thaw(r *rand.Rand, i int, c controls) {
	if r.IntN(2) == 0 {
		cause := []string{causeLocal, causeBroker}[r.IntN(2)]
		w.promised(func() { delete(w.causes[i], cause) })
		var err error
		if cause == causeLocal {
			_, err = c.Thaw(console.Target{Session: w.papers[i].gid.Session()})
		} else {
			_, err = w.a.engine.Thaw(w.papers[i].gid, cause, "x")
		}
		w.say("thaw %d (%s): %v", i, cause, err)
		return
	}
	target, scope := w.target(r)
	w.promised(func() {
		delete(w.scopes, scope)
		for j, p := range w.papers {
			if scope.Covers(p.asset, p.receipt.Person) {
				delete(w.causes[j], causeLocal)
			}
		}
	})
	_, err := c.Thaw(target)
	w.say("thaw %+v: %v", scope, err)
}

// Whatever comes in whatever order, while everybody types: once a kill, a revocation, a
// disabled engineer or a freeze is acknowledged, no byte passes of what it covers, be it
// live, being opened, admitted or waiting, until it is thawed; over restarts and steps of
// the clock too. What was ended lives no more.
func TestNothingPassesAfterAKillOrAFreeze(t *testing.T) {
	seeds := 200
	if os.Getenv("SALLYPORT_PROVE") != "" {
		seeds = 12_000
	}
	s, parent := newSite(t), quickDir(t)
	papers := paperworks(t, s)
	passed := 0
	for seed := range seeds {
		dir, err := os.MkdirTemp(parent, "run")
		must(t, err)
		w := &ward{s: s, dir: dir, papers: papers, killed: map[int]bool{}, causes: map[int]map[string]bool{}, closed: map[int][]int{}, scopes: map[ledger.Scope]bool{}}
		w.start(t)
		for r := rand.New(rand.NewPCG(uint64(seed), 7)); len(w.said) < 40; {
			w.step(t, r)
			for _, l := range w.a.engine.Live() {
				if i := slices.IndexFunc(papers, func(p *paperwork) bool { return p.gid == l.ID }); w.killed[i] {
					t.Fatalf("seed %d: %d was ended and lives, after\n%s", seed, i, strings.Join(w.said, "\n"))
				}
			}
		}
		w.stop(t)
		must(t, os.RemoveAll(dir))
		if w.broken != "" {
			t.Fatalf("seed %d: %s, after\n%s", seed, w.broken, strings.Join(w.said, "\n"))
		}
		passed += w.passed
	}
	if passed < seeds {
		t.Fatalf("only %d bytes passed in %d runs, which shows little", passed, seeds)
	}
	t.Logf("ATTACK | a byte after an acknowledged kill, freeze, revocation or disabled engineer, in %d interleavings with openings, extensions, activations, restarts and clock steps | none | none of %d | holds", seeds, passed)
}
