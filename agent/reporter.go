package agent

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/keyring"
	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// reporter tells the broker what became of sessions. It keeps the newest report
// of each session until the broker has acknowledged it; the broker may be away
// for days. Reports are idempotent, so telling twice does no harm.
//
// The engine numbers reports within one run of the agent. What the broker sees is
// drawn from the ledger just before sending, so that numbers rise over restarts too.
type reporter struct {
	book book
	// protocol is what a service of an asset speaks; "" where it is no longer here.
	protocol  func(asset, service string) session.Protocol
	send      func(context.Context, link.SessionReport) error
	stuck     func() []spool.Trouble         // what cannot be stored; nil: nothing is uploaded
	standings func() []session.AssetStanding // of all scanners; nil: there are none to tell of
	answers   answers                        // that were given here; nil: none are
	passkeys  keyNews                        // of the agent's page; nil: it has none
	log       *slog.Logger
	wake      chan struct{}

	mu      sync.Mutex
	waiting map[string]link.SessionReport // by session
	stands  bool                          // how scanners stand is to be told
	told    time.Time                     // when that was done last
}

// book is what the reporter looks up just before it sends; see package ledger.
type book interface {
	Report(id session.ID) (uint64, error)
	Keys(id session.ID) int
}

// answers are what people said to requests at the agent, until the broker has heard it.
type answers interface {
	owed() ([]link.Answer, error)
	told(link.Answer) error
}

// keyNews are passkeys that were registered or revoked here, until the broker has heard it.
type keyNews interface {
	Owed() ([]keyring.Key, error)
	Heard(keyring.Key) error
}

func newReporter(b book, protocol func(asset, service string) session.Protocol, send func(context.Context, link.SessionReport) error, log *slog.Logger) *reporter {
	return &reporter{book: b, protocol: protocol, send: send, log: log, wake: make(chan struct{}, 1), waiting: map[string]link.SessionReport{}}
}

// add never blocks.
func (r *reporter) add(rep link.SessionReport) {
	r.mu.Lock()
	if old, ok := r.waiting[rep.Session]; !ok || old.Seq <= rep.Seq {
		rep.Consent = cmp.Or(rep.Consent, old.Consent) // one that says nothing of it takes nothing back
		r.waiting[rep.Session] = rep
	}
	r.mu.Unlock()
	r.kick()
}

// remind adds a report unless a fresher one of the session waits already.
func (r *reporter) remind(rep link.SessionReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waiting[rep.Session]; !ok {
		r.waiting[rep.Session] = rep
	}
}

// restate tells how the scanners stand, soon.
func (r *reporter) restate() {
	r.mu.Lock()
	r.stands = r.standings != nil
	r.mu.Unlock()
	r.kick()
}

// state tells how the scanners stand, if that is to be told. It returns how long that has
// to wait where it was told a moment ago.
func (r *reporter) state(ctx context.Context) time.Duration {
	r.mu.Lock()
	due, wait := r.stands, time.Until(r.told.Add(standingsGap))
	if !due || wait > 0 {
		r.mu.Unlock()
		return max(0, wait)
	}
	r.stands, r.told = false, time.Now()
	r.mu.Unlock()
	for some := range slices.Chunk(r.standings(), link.MaxStandings) {
		if err := r.send(ctx, link.SessionReport{Assets: some}); err != nil {
			r.log.Debug("standings not delivered yet", "err", err)
			r.mu.Lock()
			r.stands = true
			r.mu.Unlock()
			break
		}
	}
	return 0
}

// kick tries again now: the link came up.
func (r *reporter) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends. Between failures it waits for a kick or a few seconds.
func (r *reporter) run(ctx context.Context) error {
	retry, again := time.NewTicker(5*time.Second), time.NewTicker(standingsEvery)
	defer retry.Stop()
	defer again.Stop()
	var later <-chan time.Time // for what was told a moment ago and is another now
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		case <-retry.C:
		case <-later:
		case <-again.C:
			r.restate()
		}
		later = nil
		if wait := r.state(ctx); wait > 0 {
			later = time.After(wait)
		}
		r.flush(ctx)
	}
}

// answer tells what people said here, before what came of it: the broker knows a grant that
// was approved here by that alone.
func (r *reporter) answer(ctx context.Context) {
	if r.answers == nil {
		return
	}
	owed, err := r.answers.owed()
	for _, x := range owed {
		if !r.settled(r.send(ctx, link.SessionReport{Answer: &x}), "an answer that was given here", x.Request) {
			return
		}
		err = errors.Join(err, r.answers.told(x))
	}
	if err != nil {
		r.log.Error("answers that were given here cannot be read or crossed out", "err", err)
	}
}

// settled reports whether something has not to be told again: the broker has it, or will
// never take it.
func (r *reporter) settled(err error, what, name string) bool {
	if err == nil {
		return true
	}
	if k := session.KindOf(err); k == session.Unreachable || k == session.Internal {
		r.log.Debug("the broker does not have yet "+what, "name", name, "err", err)
		return false
	}
	r.log.Warn("the broker does not take "+what, "name", name, "err", err)
	return true
}

// tellKeys tells which passkeys came and went.
func (r *reporter) tellKeys(ctx context.Context) {
	if r.passkeys == nil {
		return
	}
	owed, err := r.passkeys.Owed()
	for _, k := range owed {
		p := k.Public()
		told := link.Passkey{Name: p.Name(), Owner: p.Owner, Host: p.Host, Since: p.Since, Until: p.Until}
		if !r.settled(r.send(ctx, link.SessionReport{Passkey: &told}), "what became of a passkey", told.Name) {
			return
		}
		err = errors.Join(err, r.passkeys.Heard(k))
	}
	if err != nil {
		r.log.Error("the passkeys cannot be read or crossed out", "err", err)
	}
}

func (r *reporter) flush(ctx context.Context) {
	r.answer(ctx)
	r.tellKeys(ctx)
	for _, rep := range r.pending() {
		if err := r.deliver(ctx, rep); err != nil {
			r.log.Debug("report not delivered yet", "session", rep.Session, "err", err)
			if session.KindOf(err) == session.Unreachable {
				return
			}
			continue
		}
		r.mu.Lock()
		if r.waiting[rep.Session].Seq == rep.Seq {
			delete(r.waiting, rep.Session)
		}
		r.mu.Unlock()
	}
}

func (r *reporter) deliver(ctx context.Context, rep link.SessionReport) error {
	id, err := session.ParseSessionID(rep.Session)
	if err != nil {
		return err
	}
	rep.Keys, rep.Protocol = r.book.Keys(id), r.protocol(rep.Asset, rep.Service)
	if rep.Seq, err = r.book.Report(id); err != nil {
		return err
	}
	rep.Recordings = r.withTroubles(rep)
	return r.send(ctx, rep)
}

// withTroubles are the recordings of a report, and what cannot be stored of the session's.
func (r *reporter) withTroubles(rep link.SessionReport) []link.RecordingReport {
	all := slices.Clone(rep.Recordings)
	if r.stuck == nil {
		return all
	}
	for _, x := range r.stuck() {
		h := x.Header
		if h.Session != rep.Session {
			continue
		}
		i := slices.IndexFunc(all, func(y link.RecordingReport) bool { return y.Recording == x.Recording })
		if i < 0 {
			i = len(all)
			all = append(all, link.RecordingReport{Recording: h.Recording, Service: h.Service, Protocol: h.Protocol, Started: h.Started})
		}
		all[i].Stuck = &link.Stuck{Part: x.Part, Parts: x.Parts, Since: x.Since, Message: x.Message, Next: x.Next}
	}
	return all
}

func (r *reporter) pending() []link.SessionReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.waiting))
}
