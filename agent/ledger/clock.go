package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// ClockName is the file of the highest time that was seen.
const ClockName = "clock"

// clock is the highest time that this agent has seen, over its restarts: a clock that
// was set back prolongs nothing and opens nothing.
type clock struct {
	mu     sync.Mutex // never held for the disk
	seen   time.Time  // no monotonic reading
	at     time.Time  // when that was
	kept   time.Time  // of it, on the disk
	behind time.Duration
}

type clockFile struct {
	V    int       `json:"v"`
	Seen time.Time `json:"seen"`
}

// Moment is what the time is at least, when a clock shows this. It goes on from the
// highest time that was seen, however far back the clock is, and waits for nothing.
func (l *Ledger) Moment(shown time.Time) time.Time {
	c := &l.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	least := c.seen
	if !c.at.IsZero() {
		least = least.Add(now.Sub(c.at))
	}
	plain := shown.Round(0)
	if c.behind = least.Sub(plain); c.seen.IsZero() || c.behind <= 0 {
		c.seen, c.at, c.behind = plain, now, 0
		return shown
	}
	return shown.Add(c.behind)
}

// Behind is how far the clock is behind what was seen; zero while it may be right.
func (l *Ledger) Behind() time.Duration {
	l.clock.mu.Lock()
	defer l.clock.mu.Unlock()
	if l.clock.behind <= maxBackwards {
		return 0
	}
	return l.clock.behind
}

// plausible refuses what a clock that was set back would open.
func (l *Ledger) plausible() error {
	if by := l.Behind(); by > 0 {
		return &session.Error{Kind: session.Refused, Message: ClockWords(by), Next: "Ask hospital IT to set the agent's clock."}
	}
	return nil
}

// ClockWords says that a clock is behind.
func ClockWords(by time.Duration) string {
	return fmt.Sprintf("The agent's clock is %s behind the time that it has shown before: nothing new is opened.", by.Round(time.Second))
}

// KeepTime writes the highest time down, and forgets what has long been over by it. It is
// called now and then; what admits and opens writes the time, too.
func (l *Ledger) KeepTime() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.keepTime(); err != nil {
		return err
	}
	return l.forget()
}

// keepTime is called with mu held.
func (l *Ledger) keepTime() error {
	c := &l.clock
	c.mu.Lock()
	seen := c.seen
	if !c.at.IsZero() && c.behind > 0 {
		seen = seen.Add(time.Since(c.at))
	}
	done := seen.IsZero() || seen.Equal(c.kept)
	c.mu.Unlock()
	if done {
		return nil
	}
	body, err := encodeClock(seen)
	if err == nil {
		err = l.put(ClockName, body, false)
	}
	if err != nil {
		return internal("The ledger cannot be written.", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = seen
	return nil
}

func encodeClock(seen time.Time) ([]byte, error) {
	body, err := json.Marshal(clockFile{V: 1, Seen: seen.UTC()})
	return append(body, '\n'), err
}

// loadClock reads the highest time. An agent that cannot tell must not start.
func (l *Ledger) loadClock(d directory) error {
	body, err := d.read(ClockName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var f clockFile
	if err == nil {
		err = json.Unmarshal(body, &f)
	}
	if err == nil {
		if again, err2 := encodeClock(f.Seen); err2 != nil || f.V != 1 || f.Seen.IsZero() || !bytes.Equal(again, body) {
			err = errRecord("not as the agent wrote it")
		}
	}
	if err != nil {
		return unreadable(d.path(ClockName), err)
	}
	l.clock.seen, l.clock.kept, l.clock.at = f.Seen, f.Seen, time.Now()
	return nil
}
