package spool

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// record is one recording in the spool.
type record struct {
	id      string
	parts   []*part           // those on disk, in the recording's order
	earlier map[string]string // part to hash, acknowledged before this start
	acked   time.Time         // when the last part was acknowledged

	awaits      bool      // somebody countersigns
	finished    bool      // it was countersigned to its end
	finishAfter time.Time // not tried before
	refusals    int       // of that
}

// part is one part of it.
type part struct {
	name     string
	sum      string // hex SHA-256, once read
	acked    bool
	attempts int       // that failed
	refusals int       // of those, with the broker or the disk saying no
	after    time.Time // not tried before
}

// settled: nobody has to wait for this part.
func (p *part) settled() bool { return p.acked || p.refusals >= badAfter }

// next is the part to try now, if there is one. Segments wait for the header, the
// seal for everything, unless what they wait for is refused again and again.
func (r *record) next(now time.Time) *part {
	for i, p := range r.parts {
		if !p.acked && !now.Before(p.after) && r.free(i) {
			return p
		}
	}
	return nil
}

func (r *record) free(i int) bool {
	switch {
	case r.parts[0].name != recordings.HeaderPart:
		return false
	case i == 0:
		return true
	case r.parts[i].name == recordings.SealPart && r.awaits && !r.finished && r.refusals < badAfter:
		return false // its countersignature goes first
	case r.parts[i].name == recordings.SealPart:
		return !slices.ContainsFunc(r.parts[:i], func(p *part) bool { return !p.settled() })
	}
	return r.parts[0].settled()
}

// onlySealLeft: there is a seal, and everything before it was uploaded or refused.
func (r *record) onlySealLeft() bool {
	last := len(r.parts) - 1
	return last > 0 && r.parts[last].name == recordings.SealPart &&
		!slices.ContainsFunc(r.parts[:last], func(p *part) bool { return !p.settled() })
}

func (r *record) complete() bool {
	return len(r.parts) > 0 && (!r.awaits || r.finished) && r.parts[len(r.parts)-1].name == recordings.SealPart &&
		!slices.ContainsFunc(r.parts, func(p *part) bool { return !p.acked })
}

// read reads a part and checks it against itself: what the disk spoiled is not sent.
func (r *record) read(root *os.Root, p *part) (link.Put, io.Reader, error) {
	b, err := readFile(root, path.Join(r.id, p.name), recordings.Largest(p.name))
	if err != nil {
		return link.Put{}, nil, fmt.Errorf("read a part: %w", err)
	}
	hash := sha256.Sum256(b)
	if sum := hex.EncodeToString(hash[:]); sum != p.sum {
		if !recordings.Companion(p.name) {
			if err := recordings.CheckPart(p.name, b); err != nil {
				return link.Put{}, nil, err
			}
		}
		p.sum = sum
	}
	if r.earlier[p.name] == p.sum {
		return link.Put{}, nil, errAcked
	}
	return link.Put{Recording: r.id, Part: p.name, Size: int64(len(b)), SHA256: p.sum}, bytes.NewReader(b), nil
}

var errAcked = errors.New("acknowledged before the restart")

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
	_, err = fmt.Fprintf(f, "%s %s %d\n", p.name, p.sum, now.Unix())
	return errors.Join(err, f.Close())
}

// recall reads what remember wrote; lines that are not whole are not believed.
func (r *record) recall(root *os.Root) {
	r.earlier = map[string]string{}
	b, err := readFile(root, path.Join(r.id, ackFile), maxAckBytes)
	if err != nil {
		return
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		words := strings.Split(lines.Text(), " ")
		if len(words) != 3 || recordings.Largest(words[0]) == 0 || len(words[1]) != hex.EncodedLen(sha256.Size) {
			continue
		}
		if at, err := strconv.ParseInt(words[2], 10, 64); err == nil {
			r.earlier[words[0]], r.acked = words[1], time.Unix(at, 0)
		}
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
			r = &record{id: e.Name(), awaits: s.heads != nil}
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
		}
	}
}

// list adds the parts that were closed since the last look. Once there is a seal,
// there is nothing to look for.
func (r *record) list(root *os.Root) error {
	known := map[string]*part{}
	for _, p := range r.parts {
		known[p.name] = p
	}
	if known[recordings.SealPart] != nil && (!r.awaits || known[recordings.ReceiptsPart] != nil) {
		return nil
	}
	entries, err := fs.ReadDir(root.FS(), r.id)
	if err != nil {
		return err
	}
	var names []string
	beside := map[string]bool{}
	for _, e := range entries {
		if recordings.ValidPart(e.Name()) {
			names = append(names, e.Name())
		}
		beside[e.Name()] = recordings.Companion(e.Name())
	}
	if names, err = recordings.ParseParts(names); err != nil {
		return err
	}
	names = among(names, beside)
	r.finished = r.finished || beside[recordings.ReceiptsPart]
	parts := make([]*part, 0, len(names))
	for _, n := range names {
		p := known[n]
		if p == nil {
			p = &part{name: n}
		}
		parts = append(parts, p)
	}
	r.parts = parts
	return nil
}

// among puts the companions where they belong: the papers after the header, the
// receipts before the seal.
func among(names []string, beside map[string]bool) []string {
	if beside[recordings.PapersPart] && len(names) > 0 {
		names = slices.Insert(names, 1, recordings.PapersPart)
	}
	if last := len(names) - 1; beside[recordings.ReceiptsPart] && last > 0 && names[last] == recordings.SealPart {
		names = slices.Insert(names, last, recordings.ReceiptsPart)
	}
	return names
}

// inOrder lists the recordings, always in the same order.
func (s *Spool) inOrder() []*record {
	all := make([]*record, 0, len(s.records))
	for _, r := range s.records {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *record) int { return strings.Compare(a.id, b.id) })
	return all
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
		for _, p := range r.parts {
			if d := p.after.Sub(now); !p.acked && d > 0 {
				wait = min(wait, d)
			}
		}
		if d := r.finishAfter.Sub(now); r.awaits && !r.finished && d > 0 {
			wait = min(wait, d)
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
