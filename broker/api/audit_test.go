package api

import (
	"testing"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// What the API hands out is enough to check the log without the broker's word, and
// shows nobody what is not theirs.
func TestTheLogProvesItselfOverTheAPI(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	for range 300 {
		w.must(w.audit.Append(t.Context(), witness.Event{Event: witness.LoggedIn, Site: "XYZ"}))
	}
	c := get[AuditCheckpoint](w, "adam", "GET", "/api/v1/audit/checkpoint", nil)
	key, err := session.ParseKeyLine(c.Key)
	w.must(err)
	at, err := witness.OpenCheckpoint(c.Checkpoint, key)
	w.must(err)
	raw := get[AuditLeaves](w, "adam", "GET", "/api/v1/audit/leaves?from=0&to=100000", nil).Hashes
	var leaves [][32]byte
	for b := raw; len(b) > 0; b = b[32:] {
		leaves = append(leaves, [32]byte(b))
	}
	if roots, err := witness.Roots(leaves, at.Size); err != nil || roots[0] != at.Root {
		t.Errorf("the leaves do not make the root: %v", err)
	}
	sees := map[string]int{}
	for who := range people() {
		if who == "nothing" {
			continue
		}
		for _, query := range []string{"after=0", "last=500"} {
			page := get[AuditEvents](w, who, "GET", "/api/v1/audit/events?"+query, nil)
			sees[who] = len(page.Events)
			for _, e := range page.Events {
				event, err := witness.ParseEvent(e.Entry)
				w.must(err)
				if witness.LeafHash(e.Entry) != leaves[e.Index] || event.Seq != e.Index {
					t.Errorf("%s: entry %d is another", who, e.Index)
				}
				if mine := event.Of != nil && event.Of.Sub == "ada"; (who == "ben" || who == "audrey") && event.Site != "NGH" || who == "ada" && !mine || (who == "fay" || who == "al") && event.Site != "XYZ" {
					t.Errorf("%s sees %s", who, e.Entry)
				}
			}
		}
	}
	if sees["ada"] == 0 || sees["ben"] <= sees["ada"] || sees["adam"] != 0 || sees["abroad"] != 0 || sees["fay"] != 300 {
		t.Errorf("%v, session %s", sees, x.session)
	}
	p, err := witness.ParseInclusion(get[AuditProof](w, "ada", "GET", "/api/v1/audit/events/1/proof", nil).Proof)
	w.must(err)
	if now, err := p.Included(key); err != nil || now.Size < at.Size {
		t.Errorf("%+v, %v", now, err)
	}
	w.problem("past the end", w.call("ben", "GET", "/api/v1/audit/events/100000/proof", nil), 404)
}

// A recording is not handed out before it is written down who has it.
func TestFetchingIsWrittenDownFirst(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	path := "/api/v1/recordings/" + x.recording + "/file?reason=incident+7"
	if a := w.call("audrey", "GET", path, nil); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	page := get[AuditEvents](w, "audrey", "GET", "/api/v1/audit/events?last=1", nil)
	e, err := witness.ParseEvent(page.Events[0].Entry)
	w.must(err)
	if e.Event != witness.RecordingFetched || e.Who.Sub != "audrey" || e.Details["reason"] != "incident 7" || e.Recording != x.recording || e.Of.Sub != "ada" {
		t.Errorf("%+v", e)
	}
	w.must(w.audit.Close())
	a := w.call("audrey", "GET", path, nil)
	if w.problem("without a log", a, 500); string(a.body) == w.vault.content {
		t.Error("handed out")
	}
}
