package access_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// changed is the last change of a kind.
func changed(t *testing.T, f *store.Follower, kind string) (last store.Change) {
	t.Helper()
	for last.ID == "" {
		n, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range n.Changes {
			if c.Kind == kind {
				last = c
			}
		}
	}
	return last
}

// Every kind of change × everybody: who may read a thing hears of it, nobody else.
func TestChangesReachWhoMayKnow(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	f, err := w.store.Follow(ctx, "", access.Followed()...)
	w.must(err)
	t.Cleanup(f.Close)
	follow := func(kind string, do func()) store.Change {
		t.Helper()
		do()
		return changed(t, f, kind)
	}
	var r access.Request
	rec := session.NewID()
	pending := follow("request", func() { r, _ = w.submit(ada) })
	opened := follow("request", func() {
		r, _ = w.approved(ada)
		w.must(w.ReportSession(ctx, "NGH", "main", w.report(r, 1)))
	})
	recorded := follow("recording", func() {
		w.must(w.StartRecording(ctx, "NGH", "main", gid(r), link.RecordingReport{Recording: rec.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}))
	})
	unclaimed := follow("recording", func() { w.must(w.AppendPart(ctx, "NGH", "main", session.NewID(), "header", 5)) })
	site := follow("catalogue", func() {
		h := w.agent.Hello("NGH-PETCT1", "NGH-CT2")
		h.Assets[1].Label = "CT"
		w.must(w.Announce(ctx, h))
	})
	came := follow("presence", func() { w.must(w.NoteAgent(ctx, "NGH", "main", "n1", true)) })
	other := follow("presence", func() { w.must(w.NoteAgent(ctx, "NGH", "annex", "n1", true)) })
	standing := follow("standing", func() { _, err := w.Disable(ctx, ben, "NGH", ada.id(), "left"); w.must(err) })

	nobody := someone("vendor", "nobody", "", "NGH")
	abroad := someone("vendor", "abroad", session.Engineer, "XYZ")
	everybody := map[string]person{"ada": ada, "adam": adam, "ben": ben, "audrey": audrey, "foreign": foreign, "foreignA": foreignA, "nobody": nobody, "abroad": abroad,
		"impostor": someone("hospital", "ada", session.Engineer, "NGH")} // ada's name at another issuer
	for _, row := range []struct {
		name string
		of   store.Change
		want string
		who  []string
	}{
		{"a pending request", pending, "request R-", []string{"ada", "ben", "audrey"}},
		{"a live session", opened, "request " + r.ID + " session " + sid(r), []string{"ada", "ben", "audrey"}},
		{"a recording", recorded, "recording " + rec.Recording(), []string{"ada", "ben", "audrey"}},
		{"a recording that nobody claimed", unclaimed, "recording V-", []string{"ben", "audrey"}},
		{"the catalogue", site, "asset NGH", []string{"ada", "adam", "ben", "audrey", "impostor"}},
		{"a scanner", store.Change{Kind: "catalogue", ID: "ngh/ngh-ct2"}, "asset NGH/NGH-CT2", []string{"ada", "adam", "ben", "audrey", "impostor"}},
		{"an agent that came", came, "asset NGH/NGH-CT2 asset NGH/NGH-PETCT1", []string{"ada", "adam", "ben", "audrey", "impostor"}},
		{"an agent with nothing", other, "asset NGH", []string{"ada", "adam", "ben", "audrey", "impostor"}},
		{"an engineer who was disabled", standing, "engineer ada", []string{"ada", "ben"}},
		{"another kind", store.Change{Kind: "login", ID: pending.ID}, "", nil},
		{"a kind within", store.Change{Kind: "grant", ID: pending.ID}, "", nil},
		{"no kind", store.Change{ID: pending.ID}, "", nil},
		{"a thing that is gone", store.Change{Kind: "request", ID: session.NewID().Text()}, "", nil},
	} {
		for who, p := range everybody {
			audience, err := w.Audience(ctx, row.of.Kind, row.of.ID)
			w.must(err)
			var got []string
			for _, s := range audience.For(p) {
				got = append(got, s.Kind+" "+s.ID)
			}
			text := strings.Join(got, " ")
			switch knows := slices.Contains(row.who, who); {
			case !knows && text != "":
				t.Errorf("%s hears of %s: %s", who, row.name, text)
			case knows && (text == "" || !strings.HasPrefix(text, row.want)):
				t.Errorf("%s of %s: %q, want %q", who, row.name, text, row.want)
			}
		}
	}
}

// What cannot be read concerns nobody.
func TestBrokenDocumentsConcernNobody(t *testing.T) {
	w := newWorld(t)
	for i, kind := range access.Followed() {
		id := session.NewID().Text()
		for _, body := range []string{"", "{", `{"id":"V-x","site":"NGH"}`, `{"site":"NGH","agent":"main"}`} {
			id := fmt.Sprint(id[:len(id)-1], i)
			_ = w.store.Delete(t.Context(), kind, id)
			w.must(w.store.Create(t.Context(), kind, id, []byte(body), 0))
			n, err := w.Audience(t.Context(), kind, id)
			if err == nil && kind != "standing" {
				t.Errorf("%s %q: no error", kind, body)
			}
			for _, p := range []person{ada, ben, audrey} {
				if got := n.For(p); got != nil && kind != "standing" {
					t.Errorf("%s %q: %s hears %v", kind, body, p.who.Sub, got)
				}
			}
		}
	}
}

// An agent that went to another node is not reported away by the one it left, and a
// node that starts again reports its agents away.
func TestComingsAndGoings(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	f, err := w.store.Follow(ctx, "", "presence")
	w.must(err)
	t.Cleanup(f.Close)
	w.must(w.NoteAgent(ctx, "NGH", "main", "n1", true))
	w.advance(time.Second)
	w.must(w.NoteAgent(ctx, "NGH", "main", "n2", true))
	changed(t, f, "presence")
	before, err := w.store.Get(ctx, "presence", "NGH/main")
	w.must(err)
	w.must(w.NoteAgent(ctx, "NGH", "main", "n1", false))
	w.agent.SetOnline(false)
	w.must(w.NoteStart(ctx, "n1"))
	if after, err := w.store.Get(ctx, "presence", "NGH/main"); err != nil || after.Version != before.Version {
		t.Error("the node that it left reported it away")
	}
	w.advance(time.Second)
	w.must(w.NoteStart(ctx, "n2"))
	if c := changed(t, f, "presence"); c.ID != "NGH/main" {
		t.Errorf("changed %+v", c)
	}
	for _, bad := range []string{"", "a/b", "../x", "a b"} {
		if w.NoteAgent(ctx, bad, "main", "n1", true) == nil || w.NoteAgent(ctx, "NGH", bad, "n1", true) == nil || w.NoteAgent(ctx, "NGH", "main", bad, true) == nil {
			t.Errorf("%q is noted", bad)
		}
	}
}
