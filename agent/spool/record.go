package spool

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// record is one recording in the spool. What is kept of it does not grow with its
// segments: they are taken in their order, and only those that failed are
// remembered one by one.
type record struct {
	id      string
	few     map[string]*part // header, papers, receipts, seal: those on disk
	segment *part            // the one in hand
	next    uint32           // the one after it; all before are in again or were acknowledged
	count   uint32           // of segments, once there is a seal
	again   []*part          // segments that failed, by when they are due
	retried bool             // one of those had its turn last
	earlier map[string]bool  // acknowledged before this start
	acked   time.Time        // when the last part was acknowledged
	ending
	trouble Trouble // with a part that cannot be stored; none while it names no part
}

// ending is how a recording is countersigned to its end.
type ending struct {
	awaits   bool // somebody countersigns
	finished bool
	closing  part // stands for doing it
}

// part is one part of it.
type part struct {
	name     string
	acked    bool
	attempts int       // that failed
	refusals int       // of those, with the broker or the disk saying no
	stored   int       // parts that were stored when it was tried last
	after    time.Time // not tried before
	since    time.Time // when it was refused first
}

// settled: nobody has to wait for this part.
func (p *part) settled() bool { return p == nil || p.acked || p.refusals >= badAfter }

func (p *part) due(now time.Time) bool { return p != nil && !p.acked && !now.Before(p.after) }

// choose is the part to try now, if there is one. Segments wait for the header, the seal
// for everything, unless what they wait for is refused again and again. hold leaves new
// segments for later.
func (r *record) choose(root *os.Root, now time.Time, hold bool) *part {
	header := r.few[recordings.HeaderPart]
	switch {
	case header == nil:
		return nil
	case header.due(now):
		return header
	case !header.settled():
		return nil
	case r.few[recordings.PapersPart].due(now):
		return r.few[recordings.PapersPart]
	}
	again := len(r.again) > 0 && r.again[0].due(now)
	if again && !r.retried { // in turns with those that are new
		r.retried = true
		return r.again[0]
	}
	r.retried = false
	r.takeSegment(root, hold)
	switch {
	case r.segment.due(now):
		return r.segment
	case again:
		return r.again[0]
	case r.segment != nil:
		return nil
	}
	for _, name := range []string{recordings.ReceiptsPart, recordings.SealPart} {
		if p := r.few[name]; p.due(now) && (name != recordings.SealPart || r.sealFree()) {
			return p
		}
	}
	return nil
}

// takeSegment takes the next segment in hand, if there is one that was not acknowledged.
// One that is missing before the seal stays missing: the others go up.
func (r *record) takeSegment(root *os.Root, hold bool) {
	for r.segment == nil {
		name := recordings.SegmentPart(r.next)
		if !r.earlier[name] {
			_, err := root.Stat(path.Join(r.id, name))
			if err == nil && hold {
				return
			}
			if err == nil {
				r.segment = &part{name: name}
			} else if r.next >= r.count {
				return
			}
		}
		delete(r.earlier, name)
		r.next++
	}
}

// tried takes note of what came of a part. A segment that failed waits for its time, and
// none waits for it.
func (r *record) tried(p *part) {
	switch {
	case p == r.segment && (p.acked || p.attempts > 0):
		r.segment = nil
	case len(r.again) > 0 && p == r.again[0]:
		r.again = slices.Delete(r.again, 0, 1)
	default:
		return
	}
	if !p.acked {
		i, _ := slices.BinarySearchFunc(r.again, p, func(x, p *part) int { return x.after.Compare(p.after) })
		r.again = slices.Insert(r.again, i, p)
	}
}

// sealFree: what the seal waits for went up or is refused again and again, its
// countersignature, too.
func (r *record) sealFree() bool {
	return r.onlySealLeft() && (!r.awaits || r.finished || r.closing.refusals >= badAfter) && r.few[recordings.ReceiptsPart].settled()
}

// onlySealLeft: there is a seal, and everything before it was uploaded or refused.
func (r *record) onlySealLeft() bool {
	return r.few[recordings.SealPart] != nil && r.segment == nil && r.next >= r.count &&
		r.few[recordings.HeaderPart].settled() && r.few[recordings.PapersPart].settled() &&
		!slices.ContainsFunc(r.again, func(p *part) bool { return !p.settled() })
}

func (r *record) complete() bool {
	if !r.onlySealLeft() || len(r.again) > 0 || r.awaits && !r.finished {
		return false
	}
	for _, p := range r.few {
		if !p.acked {
			return false
		}
	}
	return true
}

// open opens a part and checks what can be checked without reading all of it: what the
// disk spoiled is not sent. The content of a segment is held against its signed head by the
// broker.
func (r *record) open(root *os.Root, p *part) (link.Put, io.ReadCloser, error) {
	f, err := root.Open(path.Join(r.id, p.name))
	if err != nil {
		return link.Put{}, nil, fmt.Errorf("read a part: %w", err)
	}
	put := link.Put{Recording: r.id, Part: p.name}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular() || info.Size() > recordings.Largest(p.name):
		err = session.Errorf(session.Invalid, "%s is not a file of reasonable size", p.name)
	default:
		put.Size = info.Size()
		put.SHA256, err = look(f, p.name, put.Size)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return link.Put{}, nil, errors.Join(err, f.Close())
	}
	return put, f, nil
}

// look checks a part against itself. Only what holds no signed hash of itself is hashed.
func look(f io.Reader, name string, size int64) (sum string, err error) {
	if _, segment := recordings.Segment(name); segment {
		head := make([]byte, recordings.SegmentHead)
		if _, err := io.ReadFull(f, head); err != nil {
			return "", session.Errorf(session.Invalid, "%s ends before its head does: %w", name, err)
		}
		return "", recordings.CheckSegmentHead(name, head, size)
	}
	b, err := io.ReadAll(io.LimitReader(f, size))
	if err == nil && !recordings.Companion(name) {
		err = recordings.CheckPart(name, b)
	}
	hash := sha256.Sum256(b)
	return hex.EncodeToString(hash[:]), err
}

func readFile(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, session.Errorf(session.Invalid, "%s is not a file of reasonable size", name)
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// remember notes an acknowledged part and the time beside the recording, for the next start. It
// is not synced: what is forgotten is sent once more, and the broker has it already.
func (r *record) remember(root *os.Root, p *part, now time.Time) error {
	r.acked = now
	f, err := root.OpenFile(path.Join(r.id, ackFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %d\n", p.name, now.Unix())
	return errors.Join(err, f.Close())
}

// recall reads what remember wrote; lines that are not whole are not believed. A part
// never changes once it has its name.
func (r *record) recall(root *os.Root) {
	r.earlier = map[string]bool{}
	f, err := root.Open(path.Join(r.id, ackFile))
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewReader(io.LimitReader(f, maxAckBytes))
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		name, when, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		at, err := strconv.ParseInt(when, 10, 64)
		if err != nil || recordings.Largest(name) == 0 {
			continue
		}
		r.acked = time.Unix(at, 0)
		if n, segment := recordings.Segment(name); segment && n == r.next { // as nearly all are
			r.next++
			continue
		}
		r.earlier[name] = true
	}
}

// scan looks for recordings and parts that are new, and finishes deletions.
func (s *Spool) scan(root *os.Root) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		s.log.Error("spool not listed", "err", err)
		return
	}
	s.scanned = time.Now()
	here := map[string]bool{}
	for _, e := range entries {
		here[e.Name()] = true
		if strings.HasPrefix(e.Name(), donePrefix) {
			s.discard(root, e.Name())
			continue
		}
		if _, err := session.ParseRecordingID(e.Name()); err != nil || !e.IsDir() {
			continue
		}
		r := s.records[e.Name()]
		if r == nil {
			r = &record{id: e.Name(), few: map[string]*part{}, ending: ending{awaits: s.heads != nil, closing: part{name: recordings.ReceiptsPart}}}
			r.recall(root)
			s.records[r.id] = r
		}
		if err := r.list(root); err != nil {
			s.log.Error("recording not listed", "recording", r.id, "err", err)
		}
	}
	for id := range s.records {
		if !here[id] {
			delete(s.records, id)
			s.note(Trouble{Recording: id}) // there is none any more
		}
	}
}

// list looks for what is there by now beside the segments. The seal says how many of those
// there are.
func (r *record) list(root *os.Root) error {
	for _, name := range []string{recordings.HeaderPart, recordings.PapersPart, recordings.ReceiptsPart, recordings.SealPart} {
		if r.few[name] != nil {
			continue
		}
		if _, err := root.Stat(path.Join(r.id, name)); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if name == recordings.SealPart {
			if b, err := readFile(root, path.Join(r.id, name), recordings.MaxPart); err == nil {
				if seal, err := recordings.ReadSeal(b); err == nil {
					r.count = seal.Segments
				}
			}
		}
		r.few[name] = &part{name: name, acked: r.earlier[name]}
		r.finished = r.finished || name == recordings.ReceiptsPart
	}
	return nil
}

// inOrder lists the recordings, always in the same order.
func (s *Spool) inOrder() []*record {
	return slices.SortedFunc(maps.Values(s.records), func(a, b *record) int { return strings.Compare(a.id, b.id) })
}

// retire deletes a recording whose every part was acknowledged long enough ago. The
// rename comes first, so that no half of a recording is ever taken for a whole.
func (s *Spool) retire(root *os.Root, r *record) {
	if !r.complete() {
		return
	}
	if age := time.Since(r.acked); age >= 0 && age < s.keep {
		return
	}
	if err := root.Rename(r.id, donePrefix+r.id); err != nil {
		s.log.Error("uploaded recording not deleted", "recording", r.id, "err", err)
		return
	}
	delete(s.records, r.id)
	s.discard(root, donePrefix+r.id)
}

func (s *Spool) discard(root *os.Root, name string) {
	if err := root.RemoveAll(name); err != nil {
		s.log.Error("uploaded recording not deleted", "recording", name, "err", err)
	}
}

// untilNext is how long to wait when nothing can be tried now.
func (s *Spool) untilNext(now time.Time) time.Duration {
	wait := rescan
	for _, r := range s.records {
		parts := append(slices.Collect(maps.Values(r.few)), r.segment)
		if parts = append(parts, r.again[:min(1, len(r.again))]...); r.awaits && !r.finished {
			parts = append(parts, &r.closing)
		}
		for _, p := range parts {
			if p != nil && !p.acked && p.after.After(now) {
				wait = min(wait, p.after.Sub(now))
			}
		}
		if d := r.acked.Add(s.keep).Sub(now); r.complete() && d > 0 {
			wait = min(wait, d)
		}
	}
	return wait
}

// jitter is the pause after n failures: exponential, full jitter, never quite zero.
func jitter(n int, most time.Duration) time.Duration {
	ceiling := most
	if n < 20 {
		ceiling = min(most, pauseFirst<<(n-1))
	}
	return 100*time.Millisecond + rand.N(ceiling)
}
