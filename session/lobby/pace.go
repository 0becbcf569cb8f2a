package lobby

import (
	"sync"
	"time"
)

// Pace gives everybody the same share of something: a token bucket for each name, in
// bounded memory. Under a flood of names it forgets those that were not used lately, at
// the same small cost for every call. Safe for concurrent use.
type Pace struct {
	every time.Duration
	burst float64

	mu         sync.Mutex // guards what follows
	young, old map[string]*bucket
}

// bucket held so many at a moment.
type bucket struct {
	held float64
	at   time.Time
}

// NewPace makes buckets that hold burst, and get one every so often.
func NewPace(every time.Duration, burst int) *Pace {
	return &Pace{every: every, burst: float64(burst), young: map[string]*bucket{}}
}

// Allow takes one from a name's bucket, or says that it is empty.
func (p *Pace) Allow(name string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bucket(name, now)
	if b.held < 1 {
		return false
	}
	b.held--
	return true
}

// Has reports whether a name's bucket holds one, and leaves it there. A name that is only
// asked about is not remembered.
func (p *Pace) Has(name string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.young[name] == nil && p.old[name] == nil || p.bucket(name, now).held >= 1
}

// bucket finds a name's bucket among those that were used lately, or those before, and
// fills it up to now. p.mu is held.
func (p *Pace) bucket(name string, now time.Time) *bucket {
	b := p.young[name]
	if b == nil {
		if len(p.young) >= maxNames/2 {
			p.young, p.old = map[string]*bucket{}, p.young
		}
		if b = p.old[name]; b == nil {
			b = &bucket{p.burst, now}
		}
		delete(p.old, name)
		p.young[name] = b
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.held = min(p.burst, b.held+float64(passed)/float64(p.every))
		b.at = now
	}
	return b
}
