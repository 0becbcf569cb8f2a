package spool

import (
	"errors"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Trouble says what of a recording is refused again and again. It is tried for ever, ever
// more rarely, and everything else goes on.
type Trouble struct {
	Recording string            // V-...
	Header    recordings.Header // zero where it cannot be read
	Part      string            // the first one; empty: there is no trouble any more
	Parts     int               // how many
	Since     time.Time
	Message   string // one plain sentence
	Next      string // what to do
}

// troubles are those of all recordings here.
type troubles struct {
	guard sync.Mutex
	all   map[string]Trouble
}

// Troubles lists what cannot be stored, by recording.
func (t *troubles) Troubles() []Trouble {
	t.guard.Lock()
	defer t.guard.Unlock()
	return slices.SortedFunc(maps.Values(t.all), func(a, b Trouble) int { return strings.Compare(a.Recording, b.Recording) })
}

func (t *troubles) note(x Trouble) {
	t.guard.Lock()
	defer t.guard.Unlock()
	if t.all == nil {
		t.all = map[string]Trouble{}
	}
	if t.all[x.Recording] = x; x.Part == "" {
		delete(t.all, x.Recording)
	}
}

// refused takes note of a refusal.
func (s *Spool) refused(root *os.Root, r *record, p *part, err error) {
	if p.refusals == 1 {
		p.since = time.Now()
	}
	if p.refusals < badAfter {
		return
	}
	before := r.trouble
	if p.refusals == badAfter {
		r.trouble.Parts++
	}
	if r.trouble.Part == "" {
		r.trouble.Recording, r.trouble.Part, r.trouble.Since = r.id, p.name, p.since.UTC()
		if b, err := readFile(root, path.Join(r.id, recordings.HeaderPart), recordings.MaxPart); err == nil {
			r.trouble.Header, _ = recordings.ReadHeader(b) // without it nobody can say whose it is
		}
	}
	if r.trouble.Part == p.name {
		r.trouble.Message, r.trouble.Next = explain(p.name, err)
	}
	s.note(r.trouble)
	if before.Part != r.trouble.Part || before.Message != r.trouble.Message || before.Parts != r.trouble.Parts && p.refusals == badAfter {
		s.told(r.trouble)
	}
}

// settled takes note that a part is stored after all. Where others are not, the next
// refusal names one of them.
func (s *Spool) settled(r *record, p *part) {
	if p.refusals < badAfter {
		return
	}
	p.refusals = 0
	r.trouble.Parts--
	if r.trouble.Part == p.name {
		r.trouble = Trouble{Recording: r.id, Header: r.trouble.Header, Parts: r.trouble.Parts}
	}
	s.note(r.trouble)
	s.told(r.trouble)
}

// explain is a refusal in plain words. What the broker says or advises is shown as its own
// word: who reads it stands at the hospital's agent and would follow ours.
func explain(part string, err error) (message, next string) {
	why, next := "it cannot be read, or not be sent", "Read the agent's log for what the disk or the network says, and run sallyport-agent doctor."
	var e *session.Error
	if errors.As(err, &e) {
		why = strings.TrimRight(wording.Line(e.Message, maxWords), ".")
		if e.Kind == session.Invalid && e.Next == "" {
			next = "The agent's disk or its memory may be failing: have it checked. Keep the directory of this recording."
		} else if e.Next != "" {
			next = wording.Line("Ask whoever runs the broker, which advises: "+e.Next, maxWords)
		}
	}
	name := part
	if n, segment := recordings.Segment(part); segment {
		name = "segment " + recordings.SegmentPart(n)[4:]
	}
	return wording.Line("The "+name+" of this recording cannot be stored at the broker. The answer: "+why+".", maxWords), next
}
