package spool

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// HeadPutter has a signed head countersigned and returns the broker's receipt. Errors
// are those of Putter.
type HeadPutter interface {
	PutHead(ctx context.Context, recording string, head []byte) (receipt []byte, err error)
}

// Heads gets the broker's countersignatures under the heads of live recordings, and
// keeps them beside the recording. Recorders hand heads over and never wait: when the
// link is slower than they are, the newest head of a recording counts.
type Heads struct {
	cfg  HeadsConfig
	wake chan struct{}

	mu     sync.Mutex
	newest map[session.ID]witness.Head // to be sent
	files  sync.Mutex                  // one receipt is written at a time
}

// HeadsConfig is what Heads stand on.
type HeadsConfig struct {
	Dir    string     // of the recordings
	Putter HeadPutter // the link
	Signer crypto.Signer
	// Pin checks the key of a countersignature against the one that is known, or
	// learns the first. An error refuses the countersignature.
	Pin func(ed25519.PublicKey) error
	Log *slog.Logger
}

const growing = "countersigned" // receipts in the order in which they came

// NewHeads makes them; nothing is sent before Run.
func NewHeads(cfg HeadsConfig) *Heads {
	return &Heads{cfg: cfg, wake: make(chan struct{}, 1), newest: map[session.ID]witness.Head{}}
}

// Add takes a head that was signed just now. It never blocks.
func (h *Heads) Add(head witness.Head) {
	h.mu.Lock()
	h.newest[head.Recording] = head
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run sends heads until ctx is over, and returns its error.
func (h *Heads) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.wake:
		}
		for _, head := range h.take() {
			if err := h.send(ctx, head); err != nil {
				h.failed(ctx, head, err)
			}
		}
	}
}

func (h *Heads) take() []witness.Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Collect(maps.Values(h.newest))
	clear(h.newest)
	return all
}

// failed puts a head back unless a newer one waits, and pauses. A head that was
// refused is left: the next one, or the closing one, covers what it covers.
func (h *Heads) failed(ctx context.Context, head witness.Head, err error) {
	if ctx.Err() != nil {
		return
	}
	if k := session.KindOf(err); k != session.Unreachable && k != session.Refused {
		h.cfg.Log.Error("head not countersigned", "recording", head.Recording.Recording(), "err", err)
		return
	}
	h.cfg.Log.Debug("head not countersigned yet", "recording", head.Recording.Recording(), "err", err)
	select {
	case <-ctx.Done():
		return
	case <-time.After(headPause):
	}
	if session.KindOf(err) == session.Refused {
		return
	}
	h.mu.Lock()
	if _, newer := h.newest[head.Recording]; !newer {
		h.newest[head.Recording] = head
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// send has one head countersigned and keeps the receipt.
func (h *Heads) send(ctx context.Context, head witness.Head) error {
	ctx, cancel := context.WithTimeout(ctx, headAttempt)
	defer cancel()
	b, err := h.cfg.Putter.PutHead(ctx, head.Recording.Recording(), head.Bytes())
	if errors.Is(err, context.DeadlineExceeded) {
		return session.Errorf(session.Unreachable, "have a head countersigned: %w", err)
	}
	if err != nil {
		return err
	}
	r, err := witness.ParseReceipt(b)
	if err == nil && (r.Head != head || !r.Verify()) {
		err = errors.New("the countersignature is not under this head")
	}
	if err != nil {
		return session.Errorf(session.Invalid, "check a countersignature: %w", err)
	}
	if err := h.cfg.Pin(r.Key()); err != nil {
		return err
	}
	return h.keep(r)
}

// keep appends a receipt to the recording's. It is not synced: the broker has it too,
// and the closing one covers all.
func (h *Heads) keep(r witness.Receipt) error {
	h.files.Lock()
	defer h.files.Unlock()
	name := path.Join(h.cfg.Dir, r.Head.Recording.Recording(), growing)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("keep a countersignature: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		whole := info.Size() / witness.ReceiptSize
		if whole < witness.MaxReceipts-1 || r.Head.Offset == 0 { // the last place is the closing one's
			_, err = f.WriteAt(r.Bytes(), whole*witness.ReceiptSize)
		}
	}
	return errors.Join(err, f.Close())
}

// Finish has the whole of a sealed recording countersigned and writes the list of all
// its receipts, signed, as its last companion. Doing it again does nothing.
func (h *Heads) Finish(ctx context.Context, recording string) error {
	dir, err := os.OpenRoot(path.Join(h.cfg.Dir, recording))
	if err != nil {
		return fmt.Errorf("finish a recording: %w", err)
	}
	defer dir.Close()
	if _, err := dir.Stat(recordings.ReceiptsPart); err == nil {
		return nil
	}
	head, err := h.closing(dir, recording)
	if err != nil {
		return fmt.Errorf("finish a recording: %w", err)
	}
	all, err := h.kept(dir, head)
	if err != nil {
		return fmt.Errorf("finish a recording: %w", err)
	}
	if n := len(all); n == 0 || all[n-1].Head != head {
		if err := h.send(ctx, head); err != nil {
			return err
		}
		if all, err = h.kept(dir, head); err != nil {
			return fmt.Errorf("finish a recording: %w", err)
		}
	}
	list, err := witness.SignList(h.cfg.Signer, head.Recording, all)
	if err != nil {
		return fmt.Errorf("finish a recording: %w", err)
	}
	return durable.Write(path.Join(h.cfg.Dir, recording, recordings.ReceiptsPart), list)
}

// closing is the head over a whole sealed recording; it is always the same.
func (h *Heads) closing(dir *os.Root, recording string) (witness.Head, error) {
	id, err := session.ParseRecordingID(recording)
	if err != nil {
		return witness.Head{}, err
	}
	part, err := readFile(dir, recordings.SealPart, recordings.MaxPart)
	if err != nil {
		return witness.Head{}, err
	}
	seal, err := recordings.ReadSeal(part)
	if err != nil {
		return witness.Head{}, err
	}
	chain, err := hex.DecodeString(seal.Chain)
	if err != nil || len(chain) != 32 {
		return witness.Head{}, errors.New("the seal has no chain")
	}
	return witness.ClosingHead(id, seal.Segments, [32]byte(chain), seal.At, seal.Ended.UnixMicro(), seal.Boot).Signed(h.cfg.Signer)
}

// kept reads the receipts of a recording. What a crash spoiled is left out: it was
// the broker's word, and the broker has it.
func (h *Heads) kept(dir *os.Root, closing witness.Head) ([]witness.Receipt, error) {
	h.files.Lock()
	defer h.files.Unlock()
	b, err := readFile(dir, growing, witness.MaxListBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := witness.ParseReceipts(b[:len(b)/witness.ReceiptSize*witness.ReceiptSize])
	if err != nil {
		return nil, err
	}
	var sound []witness.Receipt
	for _, r := range all {
		last := len(sound) - 1
		if r.Head.Recording == closing.Recording && r.Verify() && (last < 0 || r.Head.After(sound[last].Head) || r.Head == closing) {
			sound = append(sound, r)
		}
	}
	return sound, nil
}
