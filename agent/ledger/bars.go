package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
)

const barsName = "bars.json"

// bars are the scopes that the hospital holds frozen: nothing opens in them until they
// are lifted, over restarts too.
type bars struct {
	set    []Scope
	unsure bool // the disk may hold other ones
}

// barsFile is how they stand on disk.
type barsFile struct {
	V    int     `json:"v"`
	Bars []Scope `json:"bars"`
}

// Bar lets nothing open in a scope any more. It counts in this process from the first
// moment on; an error says that the disk has not taken it, and barring again tries again.
func (l *Ledger) Bar(s Scope) error {
	if !s.valid() {
		return denied("That is nothing that can be frozen.", "Name an asset, an engineer, or all.")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	there := slices.Contains(l.bars.set, s)
	switch {
	case there && !l.bars.unsure:
		return nil
	case !there && !s.All && len(l.bars.set) >= maxBars:
		return refused("Too much is frozen by name.", "Freeze all, or thaw what can go on.", nil)
	case !there:
		l.bars.set = append(slices.Clone(l.bars.set), s)
	}
	return l.keepBars(l.bars.set, true)
}

// Lift lifts the bar of just this scope, and reports whether it was there. It counts
// only when it is on disk.
func (l *Ledger) Lift(s Scope) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.bars.set, s) {
		return false, nil
	}
	left := slices.DeleteFunc(slices.Clone(l.bars.set), func(o Scope) bool { return o == s })
	if err := l.keepBars(left, false); err != nil {
		return true, err
	}
	l.bars.set = left
	return true, nil
}

// Bars lists what is barred, oldest first.
func (l *Ledger) Bars() []Scope {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.bars.set)
}

// Barred reports whether a bar covers what somebody may do at an asset.
func (l *Ledger) Barred(asset string, who session.Person) bool {
	return slices.ContainsFunc(l.Bars(), func(s Scope) bool { return s.Covers(asset, who) })
}

// Whose is the asset and the engineer of a session or an admitted grant.
func (l *Ledger) Whose(id session.ID) (asset string, who session.Person, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.entries[l.grants[id]]
	if !ok {
		return "", who, false
	}
	return e.request.Asset, e.rec.Engineer.Person, true
}

// openable is the entry's own, and what the hospital holds frozen beside it. It is
// called with mu held.
func (l *Ledger) openable(e *entry, now time.Time) error {
	if err := e.openable(now); err != nil {
		return err
	}
	for _, s := range l.bars.set {
		if s.Covers(e.request.Asset, e.rec.Engineer.Person) {
			return refused("The hospital has frozen "+s.words(e.request.Asset)+": nothing opens.", "Wait until the hospital lifts the freeze, or call it.", nil)
		}
	}
	if e.rec.State == opened {
		return nil
	}
	if err := l.plausible(); err != nil {
		return err
	}
	for _, o := range l.entries {
		if o != e && o.cold && o.live(now) == nil && o.request.Eng == e.request.Eng && o.request.Asset == e.request.Asset {
			return refused("The hospital has frozen your session on "+e.request.Asset+", and no other opens meanwhile.", "Wait until the hospital lifts the freeze, or call it.", nil)
		}
	}
	return nil
}

// words says what a bar holds, to the engineer whom it stops.
func (s Scope) words(asset string) string {
	switch {
	case s.All:
		return "everything here"
	case s.Asset != "":
		return asset
	}
	return "your access"
}

func (s Scope) valid() bool {
	switch {
	case s.All:
		return s.Asset == "" && s.Engineer == ""
	case s.Asset != "":
		return s.Engineer == "" && session.ValidName(s.Asset)
	}
	return s.Engineer != "" && len(s.Engineer) <= maxEngineer
}

// keepBars is called with mu held.
func (l *Ledger) keepBars(set []Scope, narrows bool) error {
	body, err := encodeBars(set)
	if err != nil {
		return internal("The ledger cannot be written.", err)
	}
	l.bars.unsure = true
	if err := l.put(barsName, body, narrows); err != nil {
		return internal("The ledger cannot be written.", err)
	}
	l.bars.unsure = false
	return nil
}

func encodeBars(set []Scope) ([]byte, error) {
	body, err := json.Marshal(barsFile{V: 1, Bars: set})
	return append(body, '\n'), err
}

// loadBars reads what is barred. An agent that cannot tell must not start.
func (l *Ledger) loadBars(d directory) error {
	body, err := d.read(barsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		l.bars.set, err = parseBars(body)
	}
	if err != nil {
		return unreadable(d.path(barsName), err)
	}
	return nil
}

func parseBars(body []byte) ([]Scope, error) {
	var f barsFile
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, err
	}
	if again, err := encodeBars(f.Bars); err != nil || !bytes.Equal(again, body) {
		return nil, errRecord("not as the agent wrote it")
	}
	for i, s := range f.Bars {
		if !s.valid() || i > maxBars || slices.Contains(f.Bars[:i], s) {
			return nil, errRecord("a bar that nobody sets")
		}
	}
	return f.Bars, nil
}
