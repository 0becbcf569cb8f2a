package access_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// book is an audit log that can fail.
type book struct {
	mu     sync.Mutex
	events []witness.Event
	owed   []witness.Event
	full   bool
}

func (b *book) Owe(ctx context.Context, e witness.Event) {
	if b.Append(ctx, e) != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.owed = append(b.owed, e)
	}
}

func (b *book) Append(_ context.Context, e witness.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return session.Errorf(session.Internal, "The audit log could not be written: %w", errors.New("disk full")).WithNext("Try again.")
	}
	e.Salt = make([]byte, 16)
	if _, err := e.Entry(); err != nil {
		return err
	}
	b.events = append(b.events, e)
	return nil
}

func (b *book) set(full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full = full; !full {
		b.events, b.owed = append(b.events, b.owed...), nil
	}
}

// kinds are the events since the last look.
func (b *book) kinds() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, e := range b.events {
		all = append(all, e.Event)
	}
	b.events = nil
	return all
}

func newAudited(t *testing.T) (*world, *book) {
	w, b := newWorld(t), &book{}
	var err error
	w.Access, err = access.New(access.Config{Documents: w.store, Listing: w.store, Wholes: w.store, Agents: w.agent, Audit: b, Now: w.clock})
	w.must(err)
	return w, b
}

func (w *world) wrote(b *book, want ...string) {
	w.t.Helper()
	if got := b.kinds(); !slices.Equal(got, want) {
		w.t.Errorf("the log says %v, want %v", got, want)
	}
}

func TestEveryStepIsWrittenDown(t *testing.T) {
	w, b := newAudited(t)
	ctx := t.Context()
	w.must(w.Announce(ctx, w.agent.Hello("NGH-PETCT1", "NGH-CT2")))
	w.wrote(b) // as it was
	w.must(w.Announce(ctx, w.agent.Hello("NGH-PETCT1")))
	w.wrote(b, witness.CatalogueChanged)

	r, _ := w.approved(ada)
	w.wrote(b, witness.Requested, witness.Approved, witness.Granted)
	rep := w.report(r, 1)
	w.must(w.ReportSession(ctx, "NGH", "main", rep))
	w.must(w.ReportSession(ctx, "NGH", "main", rep)) // twice is once
	w.wrote(b, witness.SessionOpened)
	rep.Seq, rep.Certificates = 2, []session.Certificate{{Service: "recon-ssh", SHA256: strings.Repeat("ab", 32), Known: session.KnownFirst}}
	for range 3 {
		w.must(w.ReportSession(ctx, "NGH", "main", rep)) // once, whatever else is news
		rep.Seq++
	}
	w.wrote(b, witness.CertificateShown)
	for i := range 600 { // and what changes for ever is not written down for ever
		rep.Certificates[0].Known = []session.Known{session.KnownHeld, session.KnownFirst}[i%2]
		w.must(w.ReportSession(ctx, "NGH", "main", rep))
		rep.Seq++
	}
	if got := b.kinds(); len(got) != 499 {
		t.Errorf("%d certificates are written down", len(got))
	}
	_, err := w.Kill(ctx, ben, sid(r))
	w.must(err)
	w.wrote(b, witness.SessionKilled, witness.SessionEnded)
	rep.Seq, rep.Ended, rep.Reason = rep.Seq+1, w.clock(), session.KilledRemote
	w.must(w.ReportSession(ctx, "NGH", "main", rep))
	w.wrote(b)

	id := session.NewID()
	for range 2 {
		w.must(w.Seal(ctx, "NGH", "main", id, access.Seal{Ended: w.clock(), SHA256: "ab"}))
	}
	w.wrote(b, witness.RecordingSealed)

	denied, _ := w.submit(ada)
	_, err = w.Deny(ctx, ben, denied.ID, "in use")
	w.must(err)
	if _, err := w.Deny(ctx, ben, denied.ID, "in use"); err == nil {
		t.Error("denied twice")
	}
	taken, _ := w.submit(ada)
	_, err = w.Withdraw(ctx, ada, taken.ID)
	w.must(err)
	w.wrote(b, witness.Requested, witness.Denied, witness.Requested, witness.Withdrawn)
}

// Where the log cannot be written nothing happens, and the same again goes through
// once it can.
func TestNothingHappensUnwritten(t *testing.T) {
	w, b := newAudited(t)
	ctx := t.Context()
	unwritten := func(what string, err error) {
		t.Helper()
		if session.KindOf(err) != session.Internal {
			t.Errorf("%s without a log: %v", what, err)
		}
		b.set(false)
	}
	status := func(id string, want session.Status) {
		t.Helper()
		if r, err := w.Get(ctx, ada, id); err != nil || r.Status != want {
			t.Errorf("%s, want %s (%v)", r.Status, want, err)
		}
	}

	raw := accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock()))
	proof := accesstest.Proof("ada")
	b.set(true)
	_, err := w.Submit(ctx, ada, raw, proof)
	unwritten("request", err)
	if all, _, err := w.List(ctx, ada, "", access.Stretch{}); err != nil || len(all) != 0 {
		t.Errorf("stored: %v, %v", all, err)
	}
	r, err := w.Submit(ctx, ada, raw, proof)
	w.must(err)

	g := accesstest.Bytes(w.agent.Grant(raw))
	yes := accesstest.Proof("ben")
	b.set(true)
	_, _, err = w.Approve(ctx, ben, r.ID, g, yes)
	unwritten("approval", err)
	status(r.ID, session.Pending)
	r, admitted, err := w.Approve(ctx, ben, r.ID, g, yes)
	w.must(err)
	if !admitted {
		t.Error("the agent's yes was not found again")
	}

	b.set(true)
	unwritten("report", w.ReportSession(ctx, "NGH", "main", w.report(r, 1)))
	w.must(w.ReportSession(ctx, "NGH", "main", w.report(r, 1)))
	id := session.NewID()
	w.must(w.StartRecording(ctx, "NGH", "main", gid(r), link.RecordingReport{Recording: id.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}))
	b.set(true)
	unwritten("seal", w.Seal(ctx, "NGH", "main", id, access.Seal{Ended: w.clock().Add(time.Minute)}))
	if x, err := w.Recording(ctx, ada, id.Recording()); err != nil || x.State != "live" {
		t.Errorf("%s, %v", x.State, err)
	}
}

// What narrows waits for no log: it is done while nothing can be written, and written, once
// and in order, when that can be.
func TestKillFreezeRevokeAndDenyWaitForNoLog(t *testing.T) {
	w, b := newAudited(t)
	ctx := t.Context()
	live := func() access.Request {
		r, _ := w.approved(ada)
		w.must(w.ReportSession(ctx, "NGH", "main", w.report(r, 1)))
		return r
	}
	killed, frozen, revoked := live(), live(), live()
	denied, _ := w.submit(ada)
	taken, _ := w.submit(ada)
	b.kinds()
	b.set(true)
	s, err := w.Freeze(ctx, ben, sid(frozen))
	w.must(err)
	if s.State != session.Frozen {
		t.Errorf("freeze: %s", s.State)
	}
	_, err = w.Thaw(ctx, ben, sid(frozen))
	if session.KindOf(err) != session.Internal {
		t.Errorf("a thaw that nobody wrote down: %v", err)
	}
	if s, err = w.Kill(ctx, ben, sid(killed)); err != nil || s.State != session.Ended {
		t.Errorf("kill: %s, %v", s.State, err)
	}
	if r, err := w.Revoke(ctx, ben, revoked.ID, "not today"); err != nil || r.Status == session.Approved {
		t.Errorf("revoke: %s, %v", r.Status, err)
	}
	if r, err := w.Deny(ctx, ben, denied.ID, "in use"); err != nil || r.Status != session.DeniedBy {
		t.Errorf("deny: %s, %v", r.Status, err)
	}
	if r, err := w.Withdraw(ctx, ada, taken.ID); err != nil || r.Status != session.Withdrawn {
		t.Errorf("withdraw: %s, %v", r.Status, err)
	}
	_, err = w.Disable(ctx, ben, "NGH", ada.id(), "left")
	w.must(err)
	w.wrote(b)
	b.set(false)
	w.wrote(b, witness.Froze, witness.SessionKilled, witness.SessionEnded, witness.Revoked, witness.Denied, witness.Withdrawn, witness.EngineerDisabled)
	t.Log("ATTACK | the audit log cannot be written (disk full, descriptors gone), then somebody kills, freezes, revokes or denies | done when the agent has done it, event owed | done, and written once and in order later | holds")
}

// An agent's clock says nothing impossible: lists that are ordered by time, and what ends by
// time, stay as they are, and the log says that it was so.
func TestImpossibleTimesOfAnAgentAreBroughtIntoBounds(t *testing.T) {
	for _, year := range []int{1, 1970, 9999} {
		w, b := newAudited(t)
		ctx := t.Context()
		r, _ := w.approved(ada)
		b.kinds()
		odd := time.Date(year, 1, 2, 0, 0, 0, 0, time.UTC)
		rep := w.report(r, 1)
		x := session.NewID()
		rep.Opened, rep.Deadline = odd, odd
		rep.Recordings = []link.RecordingReport{{Recording: x.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: odd}}
		w.must(w.ReportSession(ctx, "NGH", "main", rep))
		b.mu.Lock()
		marked := b.events[0].Details["clock"] != ""
		b.mu.Unlock()
		near := func(what string, at time.Time) {
			t.Helper()
			if d := at.Sub(w.clock()); d < -24*time.Hour || d > 31*24*time.Hour {
				t.Errorf("%d: %s is %s", year, what, at)
			}
		}
		s, err := w.Session(ctx, ben, sid(r))
		w.must(err)
		near("opened", s.Opened)
		near("deadline", s.Deadline)
		w.must(w.Seal(ctx, "NGH", "main", x, access.Seal{Ended: odd}))
		y, err := w.Recording(ctx, ben, x.Recording())
		w.must(err)
		near("started", y.Started)
		near("ended", *y.Ended)
		if !marked {
			t.Errorf("%d: the log does not say so", year)
		}
	}
	t.Log("ATTACK | an agent tells times of the year 9999 or 1970 | the request's time to now, a quarter of an hour either way | brought into bounds and marked in the log | holds")
}

// An agent invents recordings: few of them are kept, and none in the place of a real one.
func TestAnAgentInventsOnlySoManyRecordings(t *testing.T) {
	w, _ := newAudited(t)
	ctx := t.Context()
	kept := 0
	for range 200 {
		id := session.NewID()
		if err := w.Storable(ctx, "NGH", "main", id); err != nil {
			w.wants(err, session.Refused, "belong to no session")
			continue
		}
		kept++
		w.must(w.AppendPart(ctx, "NGH", "main", id, "seg-000000", 100))
	}
	if kept != 64 {
		t.Errorf("%d are kept", kept)
	}
	r, _ := w.approved(ada)
	id := session.NewID()
	w.must(w.StartRecording(ctx, "NGH", "main", gid(r), link.RecordingReport{Recording: id.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}))
	w.must(w.Storable(ctx, "NGH", "main", id))
	if err := w.Storable(ctx, "XYZ", "main", id); err == nil {
		t.Error("another site stores parts of it")
	}
	t.Log("ATTACK | a hostile agent uploads recordings that nobody made | 64 of a site that no granted session names | 64 of 200 | holds")
}
