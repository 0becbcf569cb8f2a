package ledger_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
)

// What is barred opens nothing, over restarts, until just this bar is lifted.
func TestBars(t *testing.T) {
	s, dir := newSite(t), quickDir(t)
	l := open(t, dir)
	a, v := s.granted(t, l, nil)
	ticket, err := l.Admit(v, s.now)
	must(t, err)
	shut := func(want bool) {
		t.Helper()
		if l.Barred("PETCT1", a.receipt.Person) != want {
			t.Errorf("barred is not %t", want)
		}
		if _, err := l.ByKey(a.request.Key, s.now); (err != nil) != want || want && session.KindOf(err) != session.Refused {
			t.Errorf("found: %v", err)
		}
		if want {
			_, err := l.Begin(ticket, s.now)
			refusedAs(t, err, session.Refused)
		}
	}
	asset, person := ledger.Scope{Asset: "PETCT1"}, ledger.Scope{Engineer: "eva"}
	for _, other := range []ledger.Scope{{Asset: "MR2"}, {Engineer: "ed"}} {
		must(t, l.Bar(other))
	}
	shut(false)
	must(t, l.Bar(asset))
	must(t, l.Bar(person))
	must(t, l.Bar(person)) // twice is once
	shut(true)
	l = reopen(t, l, dir)
	shut(true)
	if was, err := l.Lift(asset); !was || err != nil {
		t.Errorf("%t, %v", was, err)
	}
	if was, err := l.Lift(asset); was || err != nil {
		t.Errorf("lifted twice: %t, %v", was, err)
	}
	shut(true) // the person's holds
	_, err = l.Lift(person)
	must(t, err)
	if got := l.Bars(); !slices.Equal(got, []ledger.Scope{{Asset: "MR2"}, {Engineer: "ed"}}) {
		t.Errorf("%+v", got)
	}
	shut(false)
	l = reopen(t, l, dir)
	shut(false)
	_, err = l.Begin(ticket, s.now)
	must(t, err)
	must(t, l.Bar(ledger.Scope{All: true})) // another connection of a live session, too
	shut(true)
}

func TestBarsThatAreNone(t *testing.T) {
	l, _ := opened(t)
	for _, bad := range []ledger.Scope{{}, {Asset: "a b"}, {Asset: "A", All: true}, {Asset: "A", Engineer: "b"}, {Engineer: strings.Repeat("x", 400)}} {
		if l.Bar(bad) == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if len(l.Bars()) != 0 {
		t.Error("something is barred")
	}
}

// A disk that does not take a bar: nothing opens all the same, and a lift that is not
// written lifts nothing. A full one takes it.
func TestBarsWithoutADisk(t *testing.T) {
	s, dir := newSite(t), quickDir(t)
	l := open(t, dir)
	_, ticket := s.admitted(t, l)
	all := ledger.Scope{All: true}
	l.Inject(failing("write", false))
	refusedAs(t, l.Bar(all), session.Internal)
	_, err := l.Begin(ticket, s.now)
	refusedAs(t, err, session.Refused)
	l.Inject(nil)
	must(t, l.Bar(all)) // again, and now for good
	l.Inject(failing("write", false))
	_, err = l.Lift(all)
	refusedAs(t, err, session.Internal)
	l.Inject(nil)
	_, err = l.Begin(ticket, s.now)
	refusedAs(t, err, session.Refused)
	l = reopen(t, l, dir)
	_, err = l.Begin(ticket, s.now)
	refusedAs(t, err, session.Refused)

	tries := 0
	l.Break(func(step string) (error, bool) {
		if tries++; step == "write" && tries == 1 {
			return syscall.ENOSPC, false
		}
		return nil, false
	})
	must(t, l.Bar(ledger.Scope{Asset: "MR2"}))
}

func TestUnreadableBarsStopTheStart(t *testing.T) {
	for _, body := range []string{"", "{}\n", `{"v":1,"bars":[{}]}` + "\n", `{"v":1,"bars":[{"all":true},{"all":true}]}` + "\n", `{"v":1,"bars":[{"asset":"A","x":1}]}` + "\n"} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "bars.json"), []byte(body), 0o600))
		if l, err := ledger.Open(dir); err == nil {
			_ = l.Close()
			t.Errorf("%q is taken", body)
		}
	}
}

// While the hospital holds a session frozen, its engineer opens no other at that asset;
// others do.
func TestAFrozenSessionLetsNoOtherOpen(t *testing.T) {
	s, dir := newSite(t), quickDir(t)
	l := open(t, dir)
	first, second, eds := s.admittedFor(t, l, "eva"), s.admittedFor(t, l, "eva"), s.admittedFor(t, l, "ed")
	third := s.admittedFor(t, l, "eva")
	_, err := l.Begin(first, s.now)
	must(t, err)
	must(t, l.Freeze(first.ID(), []string{"broker"}, s.now))
	_, err = l.Begin(second, s.now)
	refusedAs(t, err, session.Refused)
	_, err = l.Begin(eds, s.now)
	must(t, err)
	l = reopen(t, l, dir)
	_, err = l.Begin(second, s.now)
	refusedAs(t, err, session.Refused)
	must(t, l.Freeze(first.ID(), nil, s.now))
	_, err = l.Begin(second, s.now)
	must(t, err)
	must(t, l.Freeze(first.ID(), []string{"local"}, s.now))
	_, err = l.Begin(second, s.now) // begun before
	must(t, err)
	must(t, l.Freeze(first.ID(), nil, s.now))
	l.Inject(failing("write", false)) // a freeze that is not on disk holds too
	refusedAs(t, l.Freeze(first.ID(), []string{"local"}, s.now), session.Internal)
	l.Inject(nil)
	_, err = l.Begin(third, s.now)
	refusedAs(t, err, session.Refused)
	must(t, l.End(first.ID(), session.KilledLocal, s.now))
	_, err = l.Begin(third, s.now)
	must(t, err)
}
