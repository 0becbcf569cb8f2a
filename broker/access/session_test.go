package access_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// What an engineer reads at each step of the way, by sallyport and by ssh.
func TestWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	const host = "recon-ssh.ngh-petct1.ngh"
	reads := func(ready bool, kind session.Kind, words string) access.Answer {
		t.Helper()
		x, err := w.Access.Access(t.Context(), ada, recon)
		w.must(err)
		if x.Ready != ready || x.Kind != kind || x.Message != words || x.Pending != strings.HasPrefix(words, "The hospital has not answered yet") {
			t.Errorf("reads %+v, want %s: %s", x, kind, words)
		}
		route, err := w.Route(t.Context(), ada.id(), host)
		if ready {
			if err != nil || route.Service != "recon-ssh" || route.Asset != "NGH-PETCT1" || route.Agent != "main" || route.Site != "NGH" || route.Session.Session() != x.Session {
				t.Errorf("Route = %+v, %v", route, err)
			}
		} else {
			w.wants(err, kind, words)
		}
		if _, err := w.Route(t.Context(), adam.id(), host); session.KindOf(err) != session.Denied {
			t.Errorf("another engineer: %v", err)
		}
		return x
	}
	_, err := w.Access.Access(t.Context(), ada, session.Target{Site: "NGH", Asset: "NGH-PETCT1", Service: "vnc"})
	w.wants(err, session.Invalid, "There is no service NGH/NGH-PETCT1/vnc.")
	reads(false, session.Denied, "You have not asked for NGH/NGH-PETCT1/recon-ssh.")

	r, _ := w.submit(ada)
	reads(false, session.Refused, "The hospital has not answered yet.")
	_, err = w.Deny(t.Context(), ben, r.ID, "scanner in use until 15:00")
	w.must(err)
	reads(false, session.Denied, "The hospital declined: scanner in use until 15:00.")

	r, _ = w.submit(ada)
	reads(false, session.Refused, "The hospital has not answered yet.") // the open one counts, not the old no
	_, err = w.Withdraw(t.Context(), ada, r.ID)
	w.must(err)
	reads(false, session.Denied, "You took the request for NGH/NGH-PETCT1/recon-ssh back.")

	_, _ = w.submit(ada)
	w.advance(4*time.Hour + time.Second)
	reads(false, session.Expired, "The hospital did not answer before the window ended.")

	r, sid := w.approved(ada)
	if x := reads(true, "", ""); x.Request != r.ID || x.Session != sid {
		t.Errorf("ready for %v, %v", x.Request, x.Session)
	}
	w.agent.SetOnline(false)
	reads(false, session.Unreachable, "The agent at NGH is not connected.")
	w.agent.SetOnline(true)
	w.advance(time.Hour + time.Second)
	reads(false, session.Refused, "The window is open; before you connect, prove once more that it is you.")
	w.advance(3 * time.Hour)
	reads(false, session.Expired, "The window ended before anybody connected.")

	r, _ = w.approved(ada)
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 1)))
	w.advance(29 * time.Minute)
	reads(true, "", "")
	w.advance(time.Minute)
	reads(false, session.Expired, "The session is over: ended at its limit.")

	r, _ = w.approved(ada)
	rep := w.report(r, 1)
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	rep.Seq, rep.Ended, rep.Reason = 2, w.clock(), session.KilledLocal
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	reads(false, session.Expired, "The session is over: ended by the hospital, at its agent.")

	_, sid = w.approved(ada)
	_, err = w.Kill(t.Context(), ben, sid)
	w.must(err)
	reads(false, session.Denied, "The hospital took its approval back.")

	early := accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock())
	early.NBF += 600
	raw := accesstest.Bytes(early)
	er, err := w.Submit(t.Context(), ada, raw, accesstest.Proof("ada"))
	w.must(err)
	_, _, err = w.Approve(t.Context(), ben, er.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	w.must(err)
	reads(false, session.Refused, "The window opens at "+w.clock().Add(10*time.Minute).UTC().Format("15:04 UTC")+" (in 10 min).")
}

func TestRouteToOtherNames(t *testing.T) {
	w := newWorld(t)
	w.approved(ada)
	if _, err := w.Route(t.Context(), ada.id(), "RECON-SSH.NGH-PETCT1.NGH"); err != nil {
		t.Errorf("in capitals: %v", err)
	}
	for _, host := range []string{"", "recon-ssh", "console-ssh.ngh-petct1", "recon-ssh.ngh-ct2", "recon-ssh.ngh-petct1.", " recon-ssh.ngh-petct1",
		"recon-ssh.ngh-petct1\x00", "127.0.0.1", "localhost", strings.Repeat("a", 10000), "recon-ssh.ngh-petct1:22"} {
		if r, err := w.Route(t.Context(), ada.id(), host); (session.KindOf(err) != session.Denied && session.KindOf(err) != session.Invalid) || r.Agent != "" {
			t.Errorf("Route(%.40q) = %+v, %v", host, r, err)
		}
	}
}

func TestKeyOwner(t *testing.T) {
	w := newWorld(t)
	r, _ := w.submit(ada)
	owner, err := w.KeyOwner(t.Context(), w.doc(r).Key)
	w.must(err)
	if owner.Identity != ada.id() || owner.Request.Request() != r.ID {
		t.Errorf("owner = %+v", owner)
	}
	refused := accesstest.Request(adam.id(), "NGH", "NGH-PETCT1", w.clock())
	w.agent.Refuse = &link.Verdict{Message: "No.", Next: "Ask."}
	_, err = w.Submit(t.Context(), adam, accesstest.Bytes(refused), accesstest.Proof("adam"))
	w.wants(err, session.Refused, "No.")
	for _, line := range []string{"", refused.Key, w.doc(r).Key + " me", w.doc(r).Key + "\n", strings.ToLower(w.doc(r).Key), strings.Repeat("x", 10000)} {
		if o, err := w.KeyOwner(t.Context(), line); session.KindOf(err) != session.Denied || o.Sub != "" {
			t.Errorf("KeyOwner(%.40q) = %+v, %v", line, o, err)
		}
	}
	w.advance(4*time.Hour + 25*time.Hour)
	_, err = w.KeyOwner(t.Context(), w.doc(r).Key)
	w.wants(err, session.Expired, "long over")
}

func TestReports(t *testing.T) {
	w := newWorld(t)
	r, sid := w.approved(ada)
	_, err := w.Session(t.Context(), ada, sid)
	w.wants(err, session.Invalid, "no session") // granted, not opened
	rep := w.report(r, 3)
	rec := session.NewID().Recording()
	rep.Recordings = []link.RecordingReport{{Recording: rec, Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}}
	for name, spoil := range map[string]func(*link.SessionReport) (site, agent string){
		"another site":  func(*link.SessionReport) (string, string) { return "XYZ", "main" },
		"another agent": func(*link.SessionReport) (string, string) { return "NGH", "second" },
		"another session": func(r *link.SessionReport) (string, string) {
			r.Session = session.NewID().Session()
			return "NGH", "main"
		},
		"no session": func(r *link.SessionReport) (string, string) { r.Session = "S-x"; return "NGH", "main" },
		"another request": func(r *link.SessionReport) (string, string) {
			r.Request = session.NewID().Request()
			return "NGH", "main"
		},
		"another scanner":      func(r *link.SessionReport) (string, string) { r.Asset = "NGH-CT2"; return "NGH", "main" },
		"another service":      func(r *link.SessionReport) (string, string) { r.Service = "console-ssh"; return "NGH", "main" },
		"a deadline too early": func(r *link.SessionReport) (string, string) { r.Deadline = r.Opened.Add(-1); return "NGH", "main" },
		"an end without why":   func(r *link.SessionReport) (string, string) { r.Ended = r.Opened; return "NGH", "main" },
		"a recording of another service": func(r *link.SessionReport) (string, string) {
			r.Recordings = []link.RecordingReport{{Recording: session.NewID().Recording(), Service: "console-ssh", Protocol: session.SSH}}
			return "NGH", "main"
		},
		"a certificate of another service": func(r *link.SessionReport) (string, string) {
			r.Certificates = []session.Certificate{{Service: "console-ssh", SHA256: strings.Repeat("ab", 32), Known: session.KnownHeld}}
			return "NGH", "main"
		},
		"no certificate": func(r *link.SessionReport) (string, string) {
			r.Certificates = []session.Certificate{{Service: "recon-ssh", SHA256: "ab", Known: session.KnownHeld}}
			return "NGH", "main"
		},
		"two certificates": func(r *link.SessionReport) (string, string) {
			r.Certificates = slices.Repeat([]session.Certificate{{Service: "recon-ssh", SHA256: strings.Repeat("ab", 32), Known: session.KnownHeld}}, 2)
			return "NGH", "main"
		},
		"too many recordings": func(r *link.SessionReport) (string, string) {
			r.Recordings = make([]link.RecordingReport, 1001)
			return "NGH", "main"
		},
	} {
		bad := rep
		site, agent := spoil(&bad)
		if err := w.ReportSession(t.Context(), site, agent, bad); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, _, err := w.Sessions(t.Context(), ben, false, access.Stretch{}); err != nil || len(all) != 0 {
		t.Fatalf("a wrong report opened %v, %v", all, err)
	}
	show := func() string {
		s, err := w.Session(t.Context(), ada, sid)
		w.must(err)
		return fmt.Sprintf("%s %s %s %d", s.State, why(s), s.Service, len(s.Recordings))
	}
	send := func(want string) {
		t.Helper()
		w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
		if got := show(); got != want {
			t.Errorf("after report %d: %s, want %s", rep.Seq, got, want)
		}
	}
	send("live  recon-ssh 1")
	send("live  recon-ssh 1")
	rep.Seq, rep.Frozen = 2, []string{"local"} // late
	send("live  recon-ssh 1")
	rep.Seq = 4
	send("frozen  recon-ssh 1")
	rep.Seq, rep.NoDevice = 5, &link.NoDevice{Service: "recon-ssh", At: w.clock(), Message: "The device\u202e does not accept the login.", Next: "Look at its password."}
	send("frozen  recon-ssh 1")
	if s, err := w.Session(t.Context(), ben, sid); err != nil || s.NoDevice == nil || s.NoDevice.Message != "The device\ufffd does not accept the login." || s.NoDevice.Next != "Look at its password." {
		t.Errorf("a device that does not let the agent in: %+v, %v", s.NoDevice, err)
	}
	rep.Seq, rep.NoDevice = 6, nil
	send("frozen  recon-ssh 1")
	if s, err := w.Session(t.Context(), ben, sid); err != nil || s.NoDevice != nil {
		t.Errorf("that is over: %+v, %v", s.NoDevice, err)
	}
	shown := session.Certificate{Service: "recon-ssh", SHA256: strings.Repeat("ab", 32), Known: session.KnownFirst, Old: "TLS\u202e 1.0"}
	rep.Seq, rep.Certificates = 7, []session.Certificate{shown}
	send("frozen  recon-ssh 1")
	rep.Seq, rep.Certificates = 8, nil // the agent was started again
	send("frozen  recon-ssh 1")
	shown.Old = "TLS\ufffd 1.0"
	if s, err := w.Session(t.Context(), ben, sid); err != nil || !slices.Equal(s.Certificates, []session.Certificate{shown}) {
		t.Errorf("the console showed %+v, %v", s.Certificates, err)
	}
	rep.Seq, rep.Ended, rep.Reason = 10, w.clock(), session.Completed
	send("ended completed recon-ssh 1")
	rep.Seq, rep.Ended, rep.Reason = 9, time.Time{}, ""
	send("ended completed recon-ssh 1")
	rep.Seq = 11 // what ended stays ended
	send("ended completed recon-ssh 1")
	if v, _ := w.Get(t.Context(), ada, r.ID); v.Status != session.Closed {
		t.Errorf("the request is %s", v.Status)
	}
}

func TestKill(t *testing.T) {
	open := func(w *world) (access.Request, string) {
		r, sid := w.approved(ada)
		w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 1)))
		return r, sid
	}
	t.Run("by whom", func(t *testing.T) {
		for _, c := range []struct {
			who    person
			reason session.EndReason
		}{{ada, session.Completed}, {ben, session.KilledRemote}} {
			w := newWorld(t)
			r, sid := open(w)
			_, err := w.Kill(t.Context(), audrey, sid)
			w.wants(err, session.Denied, "Only its engineer")
			s, err := w.Kill(t.Context(), c.who, sid)
			w.must(err)
			if s.State != session.Ended || why(s) != c.reason || !w.agent.Entry(r.ID).Closed {
				t.Errorf("killed: %+v", s)
			}
			heard := len(w.agent.Arrived())
			if s, err = w.Kill(t.Context(), ben, sid); err != nil || why(s) != c.reason || len(w.agent.Arrived()) != heard {
				t.Errorf("killed again: %+v, %v", s, err)
			}
			w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 2))) // sent before the kill
			if s, _ = w.Session(t.Context(), ben, sid); s.State != session.Ended {
				t.Error("a late report brought it back")
			}
		}
	})
	t.Run("with the agent away", func(t *testing.T) {
		w := newWorld(t)
		r, sid := open(w)
		w.agent.SetOnline(false)
		_, err := w.Kill(t.Context(), ben, sid)
		w.wants(err, session.Unreachable, "as soon as it is back")
		if s, _ := w.Session(t.Context(), ben, sid); s.State != session.Live {
			t.Errorf("shown as %s though nobody ended it", s.State)
		}
		w.agent.SetOnline(true)
		w.must(w.Settle(t.Context(), "NGH", "main"))
		if !w.agent.Entry(r.ID).Closed {
			t.Error("it goes on")
		}
	})
	t.Run("with an agent that comes back and reports", func(t *testing.T) {
		w := newWorld(t)
		r, sid := open(w)
		w.agent.SetOnline(false)
		_, err := w.Kill(t.Context(), ben, sid)
		w.wants(err, session.Unreachable, "as soon as it is back")
		w.agent.SetOnline(true)
		w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 2)))
		if !w.agent.Entry(r.ID).Closed {
			t.Error("it goes on")
		}
		heard := len(w.agent.Arrived())
		rep := w.report(r, 3)
		rep.Ended, rep.Reason = w.clock(), session.KilledRemote
		w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
		if s, _ := w.Session(t.Context(), ben, sid); s.State != session.Ended || why(s) != session.KilledRemote || len(w.agent.Arrived()) != heard {
			t.Errorf("%+v, the agent heard %v", s, w.agent.Arrived())
		}
	})
	t.Run("with the answer lost", func(t *testing.T) {
		w := newWorld(t)
		r, sid := open(w)
		w.agent.Fail = func() accesstest.Failure { return accesstest.NotDone }
		_, err := w.Kill(t.Context(), ben, sid)
		w.wants(err, session.Unreachable, "")
		w.agent.Fail = nil
		if s, err := w.Kill(t.Context(), ben, sid); err != nil || s.State != session.Ended || !w.agent.Entry(r.ID).Closed {
			t.Errorf("killed: %+v, %v", s, err)
		}
	})
	t.Run("when the agent says no", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.Kill(t.Context(), ben, session.NewID().Session())
		w.wants(err, session.Invalid, "no session")
		_, sid := open(w)
		nobody := ben
		nobody.who.Sub = ""
		_, err = w.Kill(t.Context(), nobody, sid)
		w.wants(err, session.Invalid, "nobody ends it")
		if s, _ := w.Session(t.Context(), ben, sid); s.State != session.Live {
			t.Errorf("shown as %s though the agent refused", s.State)
		}
	})
}

func TestRecordings(t *testing.T) {
	w := newWorld(t)
	r, sid := w.approved(ada)
	id := session.NewID()
	show := func(c person) string {
		all, _, err := w.Recordings(t.Context(), c, access.Filter{}, access.Stretch{})
		w.must(err)
		out := []string{}
		for _, x := range all {
			out = append(out, fmt.Sprint(x.State, " ", x.Bytes, " ", x.Asset, " ", x.Session == sid, " ", x.Ended != nil))
		}
		return strings.Join(out, "; ")
	}
	both := func(want, engineer string) {
		t.Helper()
		if got := show(audrey); got != want {
			t.Errorf("the auditor sees %q, want %q", got, want)
		}
		if got := show(ada); got != engineer {
			t.Errorf("the engineer sees %q, want %q", got, engineer)
		}
		if show(adam) != "" || show(foreign) != "" {
			t.Error("strangers see it")
		}
	}
	// A part may come before anybody said which session it belongs to.
	w.must(w.AppendPart(t.Context(), "NGH", "main", id, "header", 100))
	both("live 100  false false", "")
	rep := w.report(r, 1)
	rep.Recordings = []link.RecordingReport{{Recording: id.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}}
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	both("live 100 NGH-PETCT1 true false", "live 100 NGH-PETCT1 true false")
	for range 2 {
		w.must(w.AppendPart(t.Context(), "NGH", "main", id, "000001", 50))
	}
	both("live 150 NGH-PETCT1 true false", "live 150 NGH-PETCT1 true false")
	for name, bad := range map[string]error{
		"another site's part":   w.AppendPart(t.Context(), "XYZ", "main", id, "000002", 1),
		"another agent's part":  w.AppendPart(t.Context(), "NGH", "second", id, "000002", 1),
		"another agent's seal":  w.SealRecording(t.Context(), "NGH", "second", id, w.clock(), false),
		"a negative part":       w.AppendPart(t.Context(), "NGH", "main", id, "000002", -1),
		"a part without a name": w.AppendPart(t.Context(), "NGH", "main", id, "", 1),
		"another agent's start": w.StartRecording(t.Context(), "NGH", "second", gid(r), rep.Recordings[0]),
	} {
		if bad == nil {
			t.Errorf("%s was taken", name)
		}
	}
	other, osid := w.approved(adam)
	stolen := w.report(other, 1)
	stolen.Recordings = rep.Recordings
	if err := w.ReportSession(t.Context(), "NGH", "main", stolen); err == nil {
		t.Errorf("a recording went over to session %s", osid)
	}
	w.must(w.SealRecording(t.Context(), "NGH", "main", id, w.clock(), true))
	w.must(w.SealRecording(t.Context(), "NGH", "main", id, w.clock(), false))
	both("torn 150 NGH-PETCT1 true true", "torn 150 NGH-PETCT1 true true")
}

// An agent that was killed before it could report has only the recording to show;
// the session lists it all the same, once, whatever is reported after.
func TestAHeaderListsTheRecordingUnderItsSession(t *testing.T) {
	w := newWorld(t)
	r, sid := w.approved(ada)
	id := session.NewID()
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 1)))
	x := link.RecordingReport{Recording: id.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}
	for range 2 {
		w.must(w.StartRecording(t.Context(), "NGH", "main", gid(r), x))
	}
	rep := w.report(r, 2)
	rep.Recordings = []link.RecordingReport{x}
	for _, next := range []link.SessionReport{rep, w.report(r, 3)} { // the last one names none
		w.must(w.ReportSession(t.Context(), "NGH", "main", next))
		s, err := w.Session(t.Context(), ada, sid)
		w.must(err)
		if len(s.Recordings) != 1 || s.Recordings[0] != id.Recording() {
			t.Errorf("the session lists %v", s.Recordings)
		}
	}
}

// What an agent cannot get stored shows with its recording, in clean words, and is found
// by itself; it goes when the part arrives. No other agent can say so of a recording.
func TestWhatIsNotStoredShows(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	r, _ := w.approved(ada)
	id, fine := session.NewID(), session.NewID()
	rep := w.report(r, 1)
	rep.Recordings = []link.RecordingReport{
		{Recording: fine.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()},
		{Recording: id.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock(), Stuck: &link.Stuck{Part: "seg-000007", Parts: 2, Since: w.clock(),
			Message: "The segment 000007 of this recording cannot be stored.\x1b[2J\u202e" + strings.Repeat("x", 1000), Next: "Look for two agents."}},
	}
	if err := w.ReportSession(ctx, "NGH", "second", rep); err == nil {
		t.Fatal("another agent speaks of the session")
	}
	w.must(w.ReportSession(ctx, "NGH", "main", rep))
	find := func(who access.Caller) []access.Recording {
		t.Helper()
		all, _, err := w.Recordings(ctx, who, access.Filter{With: []string{access.WithStuck}}, access.Stretch{})
		w.must(err)
		return all
	}
	for _, who := range []access.Caller{ada, ben} {
		all := find(who)
		if len(all) != 1 || all[0].ID != id.Recording() || all[0].Stuck == nil {
			t.Fatalf("found %+v", all)
		}
		s := all[0].Stuck
		if s.Part != "seg-000007" || s.Parts != 2 || s.Next != "Look for two agents." || !s.Since.Equal(w.clock()) || len(s.Message) > 400 || strings.ContainsAny(s.Message, "\x1b\u202e") || !strings.HasPrefix(s.Message, "The segment 000007") {
			t.Errorf("shown %+v", s)
		}
	}
	if all := find(foreign); len(all) != 0 {
		t.Errorf("another hospital finds %d", len(all))
	}
	w.must(w.AppendPart(ctx, "NGH", "main", id, "seg-000006", 5))
	w.must(w.ReportSession(ctx, "NGH", "main", w.report(r, 2))) // which says nothing of recordings
	if all := find(ben); len(all) != 1 {
		t.Errorf("another part arrived, and %d are stuck", len(all))
	}
	w.must(w.AppendPart(ctx, "NGH", "main", id, "seg-000007", 5))
	if all := find(ben); len(all) != 0 {
		t.Errorf("it arrived, and %+v", all[0].Stuck)
	}
}
