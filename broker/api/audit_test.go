package api

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/broker/audit"
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
	// Without a reason that somebody can read nobody takes one away, and nothing is noted.
	for _, kind := range []string{"file", "pack"} {
		for _, reason := range []string{"", "?reason=", "?reason=+", "?reason=%E2%A0%80", "?reason=%E3%85%A4", "?reason=%EF%B8%8F%EF%B8%8F", "?reason=%F3%A0%81%81", "?reason=%E2%80%8B", "?reason=...", "?reason=a%0Ab"} {
			a := w.call("audrey", "GET", "/api/v1/recordings/"+x.recording+"/"+kind+reason, nil)
			if w.problem(kind+reason, a, 400); strings.Contains(string(a.body), w.vault.content) {
				t.Errorf("%s%s is handed out", kind, reason)
			}
		}
	}
	if after := get[AuditEvents](w, "audrey", "GET", "/api/v1/audit/events?last=1", nil); !bytes.Equal(after.Events[0].Entry, page.Events[0].Entry) {
		t.Errorf("noted: %s", after.Events[0].Entry)
	}
	w.must(w.audit.Close())
	a := w.call("audrey", "GET", path, nil)
	if w.problem("without a log", a, 500); string(a.body) == w.vault.content {
		t.Error("handed out")
	}
}

// Whichever node answers, every node's log can be asked for; one that is not there is said.
func TestTheLogsOfOtherNodes(t *testing.T) {
	w := newWorld(t)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	other, err := audit.Open(audit.Config{Dir: t.TempDir(), Key: key, Origin: "broker.example.org/b", Now: w.clock})
	w.must(err)
	t.Cleanup(func() { w.must(other.Close()) })
	for range 3 {
		w.must(other.Append(t.Context(), witness.Event{Event: witness.LoggedIn, Site: "NGH"}))
	}
	w.elsewhere = []*audit.Log{other}
	w.lost = session.Nodes{{Origin: "broker.example.org/c", Key: session.KeyLine(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)).Public().(ed25519.PublicKey))}}
	logs := get[AuditLogList](w, "ben", "GET", "/api/v1/audit/logs", nil).Logs
	if len(logs) != 3 || logs[0].Origin != "broker.example.org" || logs[1].Size != 3 || logs[1].Problem != "" || !strings.Contains(logs[2].Problem, "no copy") {
		t.Fatalf("%+v", logs)
	}
	if page := get[AuditEvents](w, "ben", "GET", "/api/v1/audit/events?last=5&log=broker.example.org/b", nil); len(page.Events) != 3 || page.Size != 3 {
		t.Errorf("%+v", page)
	}
	if page := get[AuditEvents](w, "ben", "GET", "/api/v1/audit/events?last=5", nil); page.Log != "broker.example.org" || strings.Join(page.LeftOut, " ") != "broker.example.org/b broker.example.org/c" {
		t.Errorf("what this node's log alone answers: %+v", page)
	}
	if page := get[AuditEvents](w, "ben", "GET", "/api/v1/audit/events?last=5&log=broker.example.org/b", nil); page.Log != "broker.example.org/b" || page.LeftOut != nil {
		t.Errorf("what was asked for: %+v", page)
	}
	if page := get[AuditEvents](w, "ben", "GET", "/api/v1/audit/events?after=9&log=broker.example.org/b", nil); len(page.Events) != 0 || page.Next != 9 {
		t.Errorf("a copy that is behind: %+v", page)
	}
	if page := get[AuditEvents](w, "fay", "GET", "/api/v1/audit/events?last=5&log=broker.example.org/b", nil); len(page.Events) != 0 {
		t.Errorf("another site's: %+v", page)
	}
	p, err := witness.ParseInclusion(get[AuditProof](w, "ben", "GET", "/api/v1/audit/events/1/proof?log=broker.example.org/b", nil).Proof)
	w.must(err)
	if _, err := p.Included(key.Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
	c := get[AuditCheckpoint](w, "ben", "GET", "/api/v1/audit/checkpoint?log=broker.example.org/b", nil)
	if c.Key != other.Node().Key || len(get[AuditLeaves](w, "ben", "GET", "/api/v1/audit/leaves?from=0&to=9&log=broker.example.org/b", nil).Hashes) != 96 {
		t.Errorf("%+v", c)
	}
	for _, path := range []string{"events?last=1&", "checkpoint?", "leaves?from=0&to=1&", "events/0/proof?"} {
		w.problem("not known", w.call("ben", "GET", "/api/v1/audit/"+path+"log=elsewhere.example.org/b", nil), 404)
		if a := w.call("ben", "GET", "/api/v1/audit/"+path+"log=broker.example.org/c", nil); a.status < 500 {
			t.Errorf("%s of a log that is not there: %d", path, a.status)
		}
	}
}
