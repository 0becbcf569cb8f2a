package spool

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// Quota keeps one person's recordings from taking the disk from everybody else's: they
// may take no more than they leave free, and those of a vendor twice as much as they
// leave. Beside that some room is kept for seals. Safe for concurrent use.
type Quota struct {
	dir   string
	space func(dir string) (free, total uint64, err error)

	mu  sync.Mutex
	all map[string]*Use // by recording
}

// NewQuota is for the recordings in dir. Those that are there already count for whom
// their headers name; one whose header cannot be read is nobody's, and is not free.
func NewQuota(dir string) *Quota {
	q := &Quota{dir: dir, space: durable.Space, all: map[string]*Use{}}
	there, _ := os.ReadDir(dir) // where nobody can look, nothing is begun either
	for _, d := range there {
		header, err := durable.Read(filepath.Join(dir, d.Name(), recordings.HeaderPart), recordings.MaxPart)
		if err != nil {
			continue
		}
		if h, err := recordings.ReadHeader(header); err == nil {
			q.all[d.Name()] = &Use{of: q, id: d.Name(), who: h.Engineer.Identity, bytes: size(filepath.Join(dir, d.Name()))}
		}
	}
	return q
}

// size is what the files of a directory take.
func size(dir string) (all uint64) {
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
			all += uint64(info.Size())
		}
	}
	return all
}

// Use is what one recording takes.
type Use struct {
	of   *Quota
	id   string
	who  session.Identity
	over atomic.Pointer[session.Error]

	bytes uint64 // guarded by of.mu, as what follows
	next  uint32 // segment
}

// Begin counts a recording in whose directory is about to be made. Where there is no room
// for it, it says so.
func (q *Quota) Begin(recording string, who session.Identity) (*Use, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id := range q.all { // those that the broker has are gone
		if _, err := os.Stat(filepath.Join(q.dir, id)); os.IsNotExist(err) {
			delete(q.all, id)
		}
	}
	u := &Use{of: q, id: recording, who: who}
	if no := q.full(u, 2); no != nil {
		return nil, no
	}
	return u, nil
}

// Part takes note of what was closed of the recording.
func (u *Use) Part() {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	u.of.all[u.id] = u
	for ; ; u.next++ {
		info, err := os.Stat(filepath.Join(u.of.dir, u.id, recordings.SegmentPart(u.next)))
		if err != nil {
			break
		}
		u.bytes += uint64(info.Size())
	}
	if no := u.of.full(u, 1); no != nil {
		u.over.Store(no)
	}
}

// Over is why nothing more may be recorded; nil: it may.
func (u *Use) Over() error {
	if no := u.over.Load(); no != nil {
		return no
	}
	return nil
}

// full says why a recording may take nothing more, or be begun, for which more is kept.
// It is called with mu held. Where nobody knows what is free the disk itself decides.
func (q *Quota) full(u *Use, reserves uint64) *session.Error {
	free, total, err := q.space(q.dir)
	if err != nil {
		return nil
	}
	free -= min(free, reserves*min(mostReserve, total/leastReserve))
	var own, vendor uint64
	for _, o := range q.all {
		if o.who.Iss == u.who.Iss {
			vendor += o.bytes
		}
		if o.who == u.who {
			own += o.bytes
		}
	}
	no := &session.Error{Kind: session.Refused, Next: "Wait until the broker has them, or ask the hospital for more room on its agent's disk."}
	switch {
	case free == 0:
		no.Message = "The disk of the hospital's agent is full."
	case own > free:
		no.Message = "The recordings of your sessions take up your share of the agent's disk."
	case vendor/2 > free:
		no.Message = "The recordings of your company's sessions take up its share of the agent's disk."
	default:
		return nil
	}
	return no
}
