package access_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// sites are the agents of several hospitals.
type sites []*accesstest.Agents

func (s sites) of(site string) *accesstest.Agents {
	return s[slices.IndexFunc(s, func(a *accesstest.Agents) bool { return a.Site == site })]
}
func (s sites) Online(site, agent string) bool { return s.of(site).Online(site, agent) }
func (s sites) Deliver(ctx context.Context, site, agent string, d link.Deliver) (link.Verdict, error) {
	return s.of(site).Deliver(ctx, site, agent, d)
}
func (s sites) End(ctx context.Context, site, agent string, e link.End) (link.Verdict, error) {
	return s.of(site).End(ctx, site, agent, e)
}

func TestNothingIsHiddenByNewerRequests(t *testing.T) {
	t.Run("in process", func(t *testing.T) { crowded(t, "redis://"+miniredis.RunT(t).Addr()) })
	t.Run("on a real server", func(t *testing.T) { crowded(t, realServer(t)) })
}

// every reads a whole list and makes sure that nothing comes twice.
func every[T any](t *testing.T, id func(T) string, list func(access.Stretch) ([]T, string, error)) map[string]T {
	t.Helper()
	found := map[string]T{}
	for part := (access.Stretch{Limit: 90}); ; {
		some, next, err := list(part)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range some {
			if _, twice := found[id(x)]; twice {
				t.Errorf("%s comes twice", id(x))
			}
			found[id(x)] = x
		}
		if part.After = next; next == "" {
			return found
		}
	}
}

func requestID(r access.Request) string { return r.ID }
func theID(s access.Session) string     { return s.ID }

// crowded puts 2,000 newer requests in front of a live session, debts, an open grant and
// a pending request, and looks from another broker.
func crowded(t *testing.T, url string) {
	w := newWorldAt(t, url)
	other := &accesstest.Agents{Site: "XYZ", Name: "main", Needed: 1, Now: w.clock}
	hospitals := sites{w.agent, other}
	node := func() *access.Access {
		s, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
		w.must(err)
		t.Cleanup(func() { s.Close() })
		a, err := access.New(access.Config{Documents: s, Listing: s, Wholes: s, Agents: hospitals, Now: w.clock})
		w.must(err)
		return a
	}
	w.Access = node()
	ctx := t.Context()
	w.must(w.Announce(ctx, other.Hello("XYZ-CT1")))
	ask := func(p person, site, asset string) access.Request {
		r, err := w.Submit(ctx, p, accesstest.Bytes(accesstest.Request(p.id(), site, asset, w.clock())), accesstest.Proof(p.who.Sub))
		if err != nil {
			t.Error(err)
		}
		return r
	}
	live, _ := w.approved(ada)
	w.must(w.ReportSession(ctx, "NGH", "main", w.report(live, 1)))
	grantOf, waits := w.granted(ada, "NGH-CT2"), ask(adam, "NGH", "NGH-CT2")
	abroad := ask(ada, "XYZ", "XYZ-CT1")

	revoked, killed, withdrawn, barred := w.granted(adam, "NGH-CT2"), w.granted(adam, "NGH-CT2"), w.granted(adam, "NGH-CT2"), someone("vendor", "eve", session.Engineer, "NGH")
	ask(barred, "NGH", "NGH-CT2")
	w.agent.SetOnline(false) // what follows is owed
	_, err := w.Revoke(ctx, ben, revoked.ID, "not now")
	w.wants(err, session.Unreachable, "as soon as it is back")
	_, err = w.Kill(ctx, ben, sid(killed))
	w.wants(err, session.Unreachable, "as soon as it is back")
	_, err = w.Withdraw(ctx, adam, withdrawn.ID)
	w.must(err)
	_, err = w.Disable(ctx, ben, "NGH", barred.id(), "left")
	w.must(err)
	w.agent.SetOnline(true)

	flood(t, w, ask)
	second := node()
	if all := every(t, theID, func(s access.Stretch) ([]access.Session, string, error) { return second.Sessions(ctx, ben, true, s) }); len(all) != 1 || all[sid(live)].State != session.Live {
		t.Errorf("live: %v", all)
	}
	if all := every(t, theID, func(s access.Stretch) ([]access.Session, string, error) { return second.Sessions(ctx, ada, false, s) }); len(all) != 1 {
		t.Errorf("ada's sessions: %v", all)
	}
	pending := every(t, requestID, func(s access.Stretch) ([]access.Request, string, error) {
		return second.List(ctx, ben, session.Pending, s)
	})
	if _, ok := pending[waits.ID]; !ok || len(pending) != 1+5+1400 {
		t.Errorf("%d wait, the first among them: %v", len(pending), ok)
	}
	open := every(t, requestID, func(s access.Stretch) ([]access.Request, string, error) {
		return second.List(ctx, ada, session.Approved, s)
	})
	if len(open) != 2 || open[grantOf.ID].Status != session.Approved || open[live.ID].Status != session.Approved {
		t.Errorf("open: %v", open)
	}
	if all := every(t, requestID, func(s access.Stretch) ([]access.Request, string, error) { return second.List(ctx, foreign, "", s) }); len(all) != 1 || all[abroad.ID].Status != session.Pending {
		t.Errorf("the other hospital sees %d requests", len(all))
	}
	if all := every(t, requestID, func(s access.Stretch) ([]access.Request, string, error) { return second.List(ctx, ada, "", s) }); len(all) != 3+600 {
		t.Errorf("ada asked %d times", len(all))
	}
	if route, err := second.Route(ctx, ada.id(), session.Target{Site: "NGH", Asset: "NGH-CT2", Service: "recon-ssh"}); err != nil || route.Session != gid(grantOf) {
		t.Errorf("the way under an open grant: %+v, %v", route, err)
	}
	if known, _, err := second.Engineers(ctx, ben, access.Stretch{Limit: 500}); err != nil || len(known) != 103 {
		t.Errorf("%d engineers, %v", len(known), err)
	}
	assets, err := scanners(ctx, second, ben, access.Which{Site: "NGH"})
	w.must(err)
	if i := slices.IndexFunc(assets, func(x access.Asset) bool { return x.Name == "NGH-PETCT1" }); i < 0 || !slices.Equal(assets[i].Live, []string{sid(live)}) {
		t.Errorf("the board shows %+v", assets)
	}

	before := len(w.agent.Arrived())
	w.must(second.Settle(ctx, "NGH", "main"))
	for what, r := range map[string]access.Request{"revocation": revoked, "kill": killed, "withdrawal": withdrawn} {
		if !w.agent.Entry(r.ID).Closed {
			t.Errorf("the %s that was owed is lost", what)
		}
	}
	settled := len(w.agent.Arrived())
	if !slices.Contains(w.agent.Arrived()[before:], "disable") {
		t.Error("the agent was not told who is disabled")
	}
	w.must(second.Settle(ctx, "NGH", "main"))
	if len(w.agent.Arrived()) != settled {
		t.Errorf("told twice: %v", w.agent.Arrived()[settled:])
	}
	_, err = second.Disable(ctx, ben, "NGH", ada.id(), "left")
	w.must(err)
	if !w.agent.Entry(live.ID).Closed || !w.agent.Entry(grantOf.ID).Closed {
		t.Error("what a disabled engineer had open stays open")
	}
}

// flood asks 2,000 times: 600 times as ada, who takes most of them back, and 14 times as
// each of a hundred engineers of twenty vendors.
func flood(t *testing.T, w *world, ask func(person, string, string) access.Request) {
	var work sync.WaitGroup
	for i := range 6 {
		work.Go(func() {
			for j := range 100 {
				if r := ask(ada, "NGH", "NGH-CT2"); i > 0 || j >= 5 {
					if _, err := w.Withdraw(t.Context(), ada, r.ID); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range 10 {
		work.Go(func() {
			for j := range 140 {
				ask(someone(fmt.Sprintf("vendor%d-%d", i, j/70), fmt.Sprintf("e%02d-%02d", i, j/14), session.Engineer, "NGH"), "NGH", "NGH-CT2")
			}
		})
	}
	work.Wait()
}

// Nobody can fill the list of what waits: the share of one engineer is full, and another
// one's is not.
func TestAnEngineersShareOfWhatWaitsIsBounded(t *testing.T) {
	w := newWorld(t)
	for range grant.MaxWaiting {
		w.submit(ada)
	}
	refused := func() error {
		raw := accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock()))
		_, err := w.Submit(t.Context(), ada, raw, accesstest.Proof("ada"))
		return err
	}
	w.wants(refused(), session.Refused, "16 of your requests wait")
	w.submit(adam)
	w.advance(5 * time.Hour) // their windows are over, though nobody wrote that down
	w.must(refused())
	t.Logf("ATTACK | one engineer asks without end | %d requests of a person wait | the next is refused; a colleague's is taken | holds", grant.MaxWaiting)
}

// A vendor whose engineers ask without end fills its own share at that hospital, and
// nobody else's, nor its own at another.
func TestAVendorsShareOfWhatWaitsAtASiteIsBounded(t *testing.T) {
	w := newWorld(t)
	other := &accesstest.Agents{Site: "XYZ", Name: "main", Needed: 1, Now: w.clock}
	var err error
	w.Access, err = access.New(access.Config{Documents: w.store, Listing: w.store, Wholes: w.store, Agents: sites{w.agent, other}, Now: w.clock})
	w.must(err)
	w.must(w.Announce(t.Context(), other.Hello("XYZ-CT1")))
	ask := func(p person, site, asset string) error {
		raw := accesstest.Bytes(accesstest.Request(p.id(), site, asset, w.clock()))
		_, err := w.Submit(t.Context(), p, raw, accesstest.Proof(p.who.Sub))
		return err
	}
	for i := range grant.MaxVendorWaiting {
		w.must(ask(someone("noisy", fmt.Sprintf("e%d", i/grant.MaxWaiting), session.Engineer, "NGH", "XYZ"), "NGH", "NGH-PETCT1"))
	}
	fresh := someone("noisy", "fresh", session.Engineer, "NGH", "XYZ")
	w.wants(ask(fresh, "NGH", "NGH-CT2"), session.Refused, "128 requests of your company at NGH wait")
	w.must(ask(fresh, "XYZ", "XYZ-CT1"))
	r, _ := w.submit(ada)
	if _, err := w.Deny(t.Context(), ben, r.ID, "no"); err != nil {
		t.Error(err)
	}
	w.advance(5 * time.Hour) // their windows are over, though nobody wrote that down
	w.must(ask(fresh, "NGH", "NGH-CT2"))
}

// granted is a request for a scanner of NGH that ben approved.
func (w *world) granted(p person, asset string) access.Request {
	w.t.Helper()
	raw := accesstest.Bytes(accesstest.Request(p.id(), "NGH", asset, w.clock()))
	r, err := w.Submit(w.t.Context(), p, raw, accesstest.Proof(p.who.Sub))
	w.must(err)
	r, _, err = w.Approve(w.t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	w.must(err)
	return r
}

// realServer starts redis-server on a socket of its own and ends it with the test.
func realServer(t *testing.T) (url string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "")
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test is about redis-server: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return "unix://" + socket
		}
	}
	t.Fatal("redis-server did not open its socket")
	return ""
}
