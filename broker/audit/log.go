package audit

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// Config is what a log needs.
type Config struct {
	Dir    string // made if missing
	Key    ed25519.PrivateKey
	Origin string // names the log: the broker's host and the node
	Now    func() time.Time
	Shelf  Shelf // nil: what is owed lives as long as this process
	// Appended hears of every event once it is durable. It must not block.
	Appended func(witness.Event)
}

// Figures of the log.
const (
	height   = 8 // of tiles: 256 hashes
	width    = 1 << height
	saltSize = 16 // of an entry
)

// Log is an open log. Safe for concurrent use.
type Log struct {
	cfg    Config
	disk   disk
	unlock func() error
	owed   debts
	health health

	commit   sync.Mutex // held while something is written; guards the next three
	journal  journal
	closed   bool
	reserve  *durable.Reserve
	queue    queue
	mu       sync.RWMutex // guards what follows
	tree     *tree
	publish  published
	cosigned published // the newest checkpoint that other nodes put their names to
}

// journal is the file to which entries are appended.
type journal struct {
	file   *os.File
	length int64 // as far as it is durable
	torn   bool  // journal or tiles are not what the tree says: mend comes before all else
}

// queue is what waits for its turn on the disk.
type queue struct {
	mu  sync.Mutex
	all []*waiting
}

// published is the last checkpoint that left the log.
type published struct {
	at       witness.Checkpoint
	note     []byte
	partials []string // files that it needs and the next one does not
}

// waiting is an event on its way to the disk.
type waiting struct {
	event witness.Event
	done  bool // guarded by commit
	seq   int64
	err   error
}

// ErrLost is in the chain when the directory holds less than the log once published.
var ErrLost = errors.New("the audit log lost entries")

// Open opens a log or begins one. It takes the directory's lock and repairs what a
// crash left; it refuses a directory that holds less than its checkpoint says.
func Open(cfg Config) (*Log, error) { return open(cfg, realDisk()) }

func open(cfg Config, on disk) (*Log, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if !session.ValidOrigin(cfg.Origin) || len(cfg.Key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("audit: the log needs a key and an origin")
	}
	if err := durable.MakeDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("make the audit log's directory: %w", err)
	}
	unlock, err := durable.Lock(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("lock the audit log: %w", err)
	}
	if err := durable.Sweep(cfg.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("tidy the audit log: %w", err), unlock())
	}
	l := &Log{cfg: cfg, disk: on, unlock: unlock, owed: debts{wake: make(chan struct{}, 1)}}
	if err := l.load(); err != nil {
		if l.journal.file != nil {
			err = errors.Join(err, l.journal.file.Close())
		}
		return nil, errors.Join(err, unlock())
	}
	l.reserve = durable.NewReserve(filepath.Join(cfg.Dir, "reserve"), reserveSize)
	return l, nil
}

// load reads tiles, journal and checkpoint, in this order.
func (l *Log) load() error {
	base, groups, err := l.openJournal()
	if err != nil {
		return err
	}
	if l.tree, err = openTree(l.cfg.Dir, base); err != nil {
		return err
	}
	for _, entries := range groups {
		for _, entry := range entries {
			e, err := witness.ParseEvent(entry)
			if err != nil || e.Seq != l.tree.size {
				return fmt.Errorf("%w: entry %d of the journal is another", ErrLost, l.tree.size)
			}
			l.tree.add(entry)
		}
	}
	if err := l.settle(); err != nil {
		return err
	}
	return l.checkPublished()
}

// checkPublished compares the log with the last checkpoint that anybody saw.
func (l *Log) checkPublished() error {
	note, err := os.ReadFile(filepath.Join(l.cfg.Dir, "checkpoint"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the audit log's checkpoint: %w", err)
	}
	c, err := witness.OpenCheckpoint(note, l.cfg.Key.Public().(ed25519.PublicKey))
	if err != nil {
		return fmt.Errorf("the audit log's own checkpoint: %w", err)
	}
	if c.Size > l.tree.size {
		return fmt.Errorf("%w: %d were published and %d are here", ErrLost, c.Size, l.tree.size)
	}
	if root, err := tlog.TreeHash(c.Size, l.tree); err != nil || root != c.Root {
		return errors.Join(fmt.Errorf("%w: they are not those of its checkpoint", ErrLost), err)
	}
	if c.Origin == l.cfg.Origin {
		l.publish = published{at: c, note: note}
	}
	return nil
}

// Close gives the directory back.
func (l *Log) Close() error {
	l.commit.Lock()
	defer l.commit.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.journal.file.Close(), l.unlock())
}

// Append writes an event and returns when it is durable. Number, time and salt are
// the log's. An error means that the caller must not go on; the entry may still be
// found in the log later.
func (l *Log) Append(ctx context.Context, e witness.Event) error {
	_, err := l.Add(ctx, e)
	return err
}

// Add is Append, and tells the entry's number.
func (l *Log) Add(ctx context.Context, e witness.Event) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, notWritten(err)
	}
	e.Salt = make([]byte, saltSize)
	_, _ = rand.Read(e.Salt)
	w := &waiting{event: e}
	l.queue.mu.Lock()
	l.queue.all = append(l.queue.all, w)
	l.queue.mu.Unlock()
	l.commit.Lock()
	defer l.commit.Unlock()
	for !w.done { // whoever comes first writes for all that wait
		l.writeGroup()
	}
	return w.seq, w.err
}

func notWritten(err error) error {
	return &session.Error{Kind: session.Internal, Message: "The audit log could not be written, so nothing was done",
		Next: "Try again; if it stays so, the broker's operators find the fault in its log.", Err: err}
}

// errNoRoom says that the rest of the disk is kept for what is owed.
var errNoRoom = fmt.Errorf("what is left of the disk is kept for kill, freeze, revoke and deny: %w", syscall.ENOSPC)

// writeGroup writes what is owed and then the oldest of the queue. l.commit is held.
func (l *Log) writeGroup() {
	l.queue.mu.Lock()
	n := min(len(l.queue.all), maxGroup)
	group := l.queue.all[:n:n]
	l.queue.all = l.queue.all[n:]
	l.queue.mu.Unlock()
	fault := l.pay()
	if fault == nil && !l.reserve.Fill() {
		fault = errNoRoom
	}
	if fault == nil {
		fault = l.put(group)
	}
	for _, w := range group {
		w.done = true
		if w.err = cmp.Or(w.err, fault); w.err != nil {
			w.err = notWritten(w.err)
		}
	}
}

// put numbers events and writes them as one group. An event that cannot be spelled is
// left out, and says so.
func (l *Log) put(group []*waiting) error {
	if err := l.mend(); err != nil {
		l.health.note(err, true)
		return err
	}
	var entries [][]byte
	seq, now := l.Size(), l.cfg.Now()
	for _, w := range group {
		w.event.Seq, w.event.Time = seq, now
		entry, err := w.event.Entry()
		if w.err = err; err != nil {
			continue
		}
		w.seq = seq
		entries = append(entries, entry)
		seq++
	}
	if len(entries) == 0 {
		return nil
	}
	err := l.write(entries)
	l.health.note(err, true)
	for _, w := range group {
		if err == nil && w.err == nil && l.cfg.Appended != nil {
			l.cfg.Appended(w.event)
		}
	}
	return err
}

// write makes a group durable and takes it into the tree. After an error nothing of it
// counts, and mend takes it off the disk.
func (l *Log) write(entries [][]byte) error {
	if err := l.appendJournal(entries); err != nil {
		l.journal.torn = true
		return err
	}
	l.mu.Lock()
	for _, entry := range entries {
		l.tree.add(entry)
	}
	full := len(l.tree.due) > 0
	l.mu.Unlock()
	if full { // the journal has all: what goes wrong with the tiles undoes no entry
		l.journal.torn = true
		_ = l.mend()
	}
	return nil
}

// mend makes the disk what the tree says, which has every entry that Append reported and
// no other: tiles first, then a journal with the rest in place of the one that is there.
// Nothing is read back, for what a disk shows after a failed sync need not be what it has.
func (l *Log) mend() error {
	if l.closed {
		return os.ErrClosed
	}
	if !l.journal.torn {
		return nil
	}
	if err := l.settle(); err != nil {
		return err
	}
	if err := l.newJournal(l.tree.size/width*width, l.tree.tail); err != nil {
		return err
	}
	l.journal.torn = false
	return nil
}

// settle puts the tiles that became full on the disk. l.commit is held.
func (l *Log) settle() error {
	for _, full := range l.tree.due {
		if err := l.tree.settle(full, l.disk.put); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.tree.due = nil
	l.mu.Unlock()
	return nil
}

// Size is the number of durable entries.
func (l *Log) Size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.tree.size
}

// Key is the log's public key.
func (l *Log) Key() ed25519.PublicKey { return l.cfg.Key.Public().(ed25519.PublicKey) }

// Node is what a hospital accepts: the log's name and key.
func (l *Log) Node() session.Node {
	return session.Node{Origin: l.cfg.Origin, Key: session.KeyLine(l.Key())}
}

// Cosigned takes a checkpoint of this log back to which other nodes put their names.
func (l *Log) Cosigned(note []byte) error {
	c, err := witness.OpenCheckpoint(note, l.Key())
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if root, err := tlog.TreeHash(min(c.Size, l.tree.size), l.tree); err != nil || c.Origin != l.cfg.Origin || root != c.Root {
		return errors.Join(fmt.Errorf("the checkpoint is not of this log"), err)
	}
	if c.Size >= l.cosigned.at.Size {
		l.cosigned = published{at: c, note: note}
	}
	return nil
}

// Checkpoint signs the log as it stands. It is on disk when it returns.
func (l *Log) Checkpoint() ([]byte, error) {
	note, _, err := l.checkpoint()
	return note, err
}

// checkpoint is Checkpoint, with the other nodes' names where they are there already.
func (l *Log) checkpoint() ([]byte, witness.Checkpoint, error) {
	note, c, err := l.signed()
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err == nil && l.cosigned.note != nil && l.cosigned.at == c {
		note = l.cosigned.note
	}
	return note, c, err
}

func (l *Log) signed() ([]byte, witness.Checkpoint, error) {
	l.commit.Lock()
	defer l.commit.Unlock()
	fault := l.mend()
	l.mu.RLock()
	size, last := l.tree.size, l.publish
	root, err := tlog.TreeHash(size, l.tree)
	l.mu.RUnlock()
	switch {
	case err != nil:
		return nil, witness.Checkpoint{}, fmt.Errorf("hash the audit log: %w", err)
	case last.note != nil && last.at.Size == size:
		return last.note, last.at, nil
	case fault != nil:
		return nil, witness.Checkpoint{}, notWritten(fault)
	}
	c := witness.Checkpoint{Origin: l.cfg.Origin, Size: size, Root: root}
	note, err := c.Signed(l.cfg.Key)
	if err != nil {
		return nil, c, err
	}
	partials, err := l.tree.writePartials()
	if err == nil {
		err = l.disk.put(filepath.Join(l.cfg.Dir, "checkpoint"), note)
	}
	if err != nil {
		return nil, c, fmt.Errorf("publish a checkpoint: %w", err)
	}
	l.tree.removePartials(last.partials, partials)
	l.mu.Lock()
	l.publish = published{at: c, note: note, partials: partials}
	l.mu.Unlock()
	return note, c, nil
}

// Consistency is the newest checkpoint with the proof that the log goes on from its
// first old entries. An old size that the log never had gives an empty proof, which
// whoever knows that size will refuse.
func (l *Log) Consistency(old int64) (note []byte, p witness.Consistency, err error) {
	note, c, err := l.checkpoint()
	if err != nil {
		return nil, p, err
	}
	p, err = l.Between(old, c.Size)
	return note, p, err
}

// Between proves that the first size entries begin with the first old ones.
func (l *Log) Between(old, size int64) (p witness.Consistency, err error) {
	p.Old = max(old, 0)
	if old <= 0 || old >= size {
		return p, nil
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if p.Hashes, err = tlog.ProveTree(size, old, l.tree); err != nil {
		return p, fmt.Errorf("prove that the audit log goes on: %w", err)
	}
	return p, nil
}

// Prove proves that an entry is in the log, against the newest checkpoint that other nodes
// cosigned where it covers the entry. An entry that is not there is os.ErrNotExist.
func (l *Log) Prove(index int64) (witness.Inclusion, error) {
	note, c, err := l.checkpoint()
	if err != nil {
		return witness.Inclusion{}, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if index >= 0 && index < l.cosigned.at.Size {
		note, c = l.cosigned.note, l.cosigned.at
	}
	return l.tree.prove(index, note, c)
}

// Entries are the entries from one number up to and without another, as far as they
// are there and lie in the bundle of the first: at most 256.
func (l *Log) Entries(from, to int64) ([][]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.tree.entries(from, to)
}

// Find looks for the newest entry that fits, from the end of the log.
func (l *Log) Find(fits func(entry []byte) bool) (index int64, found bool, err error) {
	return find(l.Size(), l.Entries, fits)
}

func find(size int64, read func(from, to int64) ([][]byte, error), fits func(entry []byte) bool) (index int64, found bool, err error) {
	for to := size; to > 0; {
		from := (to - 1) / width * width
		entries, err := read(from, to)
		if err != nil {
			return 0, false, err
		}
		for i := len(entries) - 1; i >= 0; i-- {
			if fits(entries[i]) {
				return from + int64(i), true, nil
			}
		}
		to = from
	}
	return 0, false, nil
}

// Leaves are the hashes of entries, 32 bytes each, from one number up to and without
// another, as far as they are there.
func (l *Log) Leaves(from, to int64) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.tree.leaves(from, to)
}
