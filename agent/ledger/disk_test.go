package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
)

// failing makes every step of a name fail.
func failing(step string, applied bool) ledger.Fault {
	return func(s string) (bool, bool) { return s == step, applied }
}

// However a write fails, the step does not count; afterwards it can be taken again,
// or is found to have happened.
func TestNothingCountsThatIsNotOnDisk(t *testing.T) {
	s := newSite(t)
	for _, step := range []string{"write", "sync"} {
		for _, applied := range []bool{false, true} {
			name := step + " fails"
			if applied {
				name += " after it took effect"
			}
			t.Run(name, func(t *testing.T) {
				l, _ := opened(t)
				a, v := s.granted(t, l, nil)
				l.Inject(failing(step, applied))
				ticket, err := l.Admit(v, s.now)
				refusedAs(t, err, session.Internal)
				if ticket.Valid() {
					t.Fatal("a ticket without an entry")
				}
				if _, err := l.ByKey(a.request.Key, s.now); err == nil {
					t.Fatal("opens without an entry")
				}
				b := s.ask(t, nil)
				refusedAs(t, l.Pend(b.doc, b.receipt), session.Internal)
				l.Inject(nil)
				must(t, l.Pend(b.doc, b.receipt))
				if _, err := l.Admit(v, s.now); err != nil { // it had taken effect
					refusedAs(t, err, session.Refused)
				}
				ticket, err = l.ByKey(a.request.Key, s.now)
				must(t, err)

				l.Inject(failing(step, applied))
				_, err = l.Begin(ticket, s.now)
				refusedAs(t, err, session.Internal)
				_, err = l.Report(ticket.ID())
				refusedAs(t, err, session.Internal)
				l.Inject(nil)
				_, err = l.Begin(ticket, s.now)
				must(t, err)
			})
		}
	}
}

// A kill holds even when the disk does not: in this process nothing opens any more.
func TestKillHoldsWithoutADisk(t *testing.T) {
	s := newSite(t)
	for _, step := range []string{"write", "sync"} {
		l, dir := opened(t)
		a, ticket := s.admitted(t, l)
		_, err := l.Begin(ticket, s.now)
		must(t, err)
		waiting, v := s.granted(t, l, nil)
		l.Inject(failing(step, false))
		refusedAs(t, l.End(ticket.ID(), session.KilledLocal, s.now), session.Internal)
		refusedAs(t, l.Withdraw(waiting.id, s.now), session.Internal)
		for range 2 {
			_, err = l.ByKey(a.request.Key, s.now)
			refusedAs(t, err, session.Expired)
			_, err = l.Begin(ticket, s.now)
			if err == nil || l.Left(ticket.ID(), s.now) != 0 {
				t.Fatal("opens after a kill")
			}
			if _, err = l.Admit(v, s.now); err == nil {
				t.Fatal("admitted after it was withdrawn")
			}
			l.Inject(nil) // the disk is back; nothing reopens by itself
		}
		if _, err := l.AddApproval(waiting.id, v.GrantBytes(), v.Approvers()[0]); err == nil {
			t.Fatal("approved after it was withdrawn")
		}
		must(t, l.End(ticket.ID(), session.Completed, s.now)) // what ended it first is what ended it
		must(t, l.Withdraw(waiting.id, s.now))
		l = reopen(t, l, dir)
		if f, _ := l.Facts(ticket.ID()); f.Reason != session.KilledLocal {
			t.Errorf("%s: %+v", step, f)
		}
	}
}

// An agent that cannot read what was closed does not start, and says which file it is.
func TestUnreadableEntriesStopTheStart(t *testing.T) {
	s := newSite(t)
	build, dir := opened(t)
	a, ticket := s.admitted(t, build)
	_, err := build.Begin(ticket, s.now)
	must(t, err)
	name := a.id.Request() + ".json"
	good, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	edit := func(old, new string) []byte {
		t.Helper()
		out := bytes.Replace(good, []byte(old), []byte(new), 1)
		if bytes.Equal(out, good) {
			t.Fatalf("%q is not there", old)
		}
		return out
	}
	later := `"deadline":"` + s.now.Add(30*time.Minute).Format(time.RFC3339)
	for label, files := range map[string]map[string][]byte{
		"empty":                      {name: nil},
		"torn":                       {name: good[:len(good)/2]},
		"garbage":                    {name: []byte("garbage")},
		"two of them in one":         {name: append(bytes.Clone(good), good...)},
		"white space":                {name: append(bytes.Clone(good), ' ')},
		"unknown field":              {name: edit(`{"v":1`, `{"v":1,"x":1`)},
		"duplicate field":            {name: edit(`"reason":""`, `"reason":"","reason":""`)},
		"another version":            {name: edit(`"v":1`, `"v":2`)},
		"unknown state":              {name: edit(`"opened",`, `"open",`)},
		"opened made admitted":       {name: edit(`"state":"opened"`, `"state":"admitted"`)},
		"opened made pending":        {name: edit(`"state":"opened"`, `"state":"pending"`)},
		"closed without a time":      {name: edit(`"state":"opened"`, `"state":"closed"`)},
		"deadline before start":      {name: edit(later, `"deadline":"2020-01-01T00:00:00`)},
		"no time of receipt":         {name: edit(`"received":"`+s.now.Format(time.RFC3339), `"received":"0001-01-01T00:00:00Z`)},
		"approval taken away":        {name: cut(t, good, `"approvals":[`, `]`)},
		"another person's approval":  {name: edit(`"role":"approve"`, `"role":"request"`)},
		"the request's role changed": {name: edit(`"role":"request"`, `"role":"login"`)},
		"renamed":                    {session.NewID().Request() + ".json": good},
		"copied":                     {name: good, session.NewID().Request() + ".json": good},
		"a stranger's file":          {name: good, "notes.txt": []byte("hello")},
		"a backup":                   {name: good, name + ".bak": good},
		"too large":                  {name: append(bytes.Clone(good), make([]byte, 1<<20)...)},
	} {
		t.Run(label, func(t *testing.T) {
			dir := t.TempDir()
			for name, body := range files {
				must(t, os.WriteFile(filepath.Join(dir, name), body, 0o600))
			}
			_, err := ledger.Open(dir)
			refusedAs(t, err, session.Internal)
			if named := err.Error(); !strings.Contains(named, dir) {
				t.Errorf("does not name the file: %s", named)
			}
			// The lock was given back.
			for name := range files {
				must(t, os.Remove(filepath.Join(dir, name)))
			}
			must(t, os.WriteFile(filepath.Join(dir, name), good, 0o600))
			must(t, open(t, dir).Close())
		})
	}
}

// Two entries with one grant id cannot both be true.
func TestOneGrantInTwoEntries(t *testing.T) {
	s := newSite(t)
	one, dirOne := opened(t)
	two, dirTwo := opened(t)
	_, v := s.granted(t, one, nil)
	_, err := one.Admit(v, s.now)
	must(t, err)
	b := s.ask(t, nil)
	must(t, two.Pend(b.doc, b.receipt))
	g := s.grant(t, b, nil)
	g = bytes.Replace(g, []byte(idOf(g)), []byte(v.Grant().GID), 1)
	_, err = two.Admit(s.verify(t, b, g, s.approve(t, b, g, "anna")), s.now)
	must(t, err)
	body, err := os.ReadFile(filepath.Join(dirTwo, b.id.Request()+".json"))
	must(t, err)
	must(t, one.Close())
	must(t, os.WriteFile(filepath.Join(dirOne, b.id.Request()+".json"), body, 0o600))
	_, err = ledger.Open(dirOne)
	refusedAs(t, err, session.Internal)
}

// What a crash left half-written never counted.
func TestHalfWrittenEntriesGo(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, ".new-"+session.NewID().Request()+".json")
	must(t, os.WriteFile(left, []byte(`{"v":1,"sta`), 0o600))
	l := open(t, dir)
	defer l.Close()
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Error("still there")
	}
	if n := len(l.Entries(time.Now())); n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestFilesAreForTheAgentAlone(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "state", "ledger")
	l := open(t, dir)
	defer l.Close()
	a := s.ask(t, nil)
	must(t, l.Pend(a.doc, a.receipt))
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, a.id.Request()+".json"): 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: %o", path, got)
		}
	}
}

// cut empties what stands between two marks.
func cut(t *testing.T, b []byte, from, to string) []byte {
	t.Helper()
	s := string(b)
	i := strings.Index(s, from)
	if i < 0 {
		t.Fatal("mark not found")
	}
	i += len(from)
	depth := 1
	for j := i; j < len(s); j++ {
		switch s[j] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return []byte(s[:i] + s[j:])
			}
		}
	}
	t.Fatal("mark not closed")
	return nil
}

// idOf is a grant's id as it stands in its bytes.
func idOf(doc []byte) string {
	_, rest, _ := bytes.Cut(doc, []byte(`"gid":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

func FuzzEntry(f *testing.F) {
	s := newSite(f)
	dir := f.TempDir()
	l := open(f, dir)
	a, ticket := s.admitted(f, l)
	keep := func() {
		body, err := os.ReadFile(filepath.Join(dir, a.id.Request()+".json"))
		must(f, err)
		f.Add(body)
	}
	keep()
	_, err := l.Begin(ticket, s.now)
	must(f, err)
	keep()
	must(f, l.End(ticket.ID(), session.Completed, s.now))
	keep()
	must(f, l.Close())
	f.Add([]byte(`{"v":1,"state":"pending"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		again, err := ledger.Reread(body)
		if err == nil && !bytes.Equal(again, body) {
			t.Fatalf("%q became %q", body, again)
		}
	})
}
