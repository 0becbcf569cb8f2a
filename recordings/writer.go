package recordings

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Writer records into a directory of its own. It implements session.Recorder.
type Writer struct {
	options Options
	began   time.Time // with the monotonic clock
	duties
	painter painter // draws what stands at a segment's begin
	lost    chan struct{}
	ending  ending
	input   cipher.AEAD
	binder  *binder // the closer's, and Close's once that has stopped

	mu     sync.Mutex   // guards what follows: the order of frames is the order of Record
	ended  totals       // of all segments that ended, closed or not
	open   *openSegment // nil between segments
	due    time.Time    // when the next head is; zero: nothing to cover
	queue  unclosed
	buf    []byte
	err    error // why nothing can be recorded any more
	closed bool
}

// duties are done beside Record.
type duties struct {
	clock  duty // signs heads and ends segments that have become old
	closer duty // syncs and closes segments: all that waits for the disk
}

// unclosed is what ended and is not closed yet, the oldest first.
type unclosed struct {
	segments []*openSegment
	bytes    int64
	room     sync.Cond // there is less of it, or nothing will be recorded any more
}

// ending is the one time that a Writer is closed, and how it went.
type ending struct {
	once sync.Once
	err  error
}

var _ session.Recorder = (*Writer)(nil)

// openSegment is the segment that is being written.
type openSegment struct {
	tally
	file   file
	began  time.Time
	dirty  time.Time // when the first byte that is not synced was written; zero: none
	closed extent    // once it ended
	stood  int64     // bytes of the console that stood when it began
	kinds  kinds     // of its events
}

// Create begins a recording in dir (which must not exist; its parent must). The
// header is on disk when it returns. Zero Agent and Started are filled in. Nothing
// is left behind when it fails.
func Create(dir string, h Header, o Options) (_ *Writer, err error) {
	defer func() {
		if err != nil && o.Picture != nil {
			o.Picture.Close()
		}
	}()
	d, err := newDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("begin a recording: %w", err)
	}
	w, err := create(d, h, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin a recording: %w", err), d.close(), os.RemoveAll(dir))
	}
	return w, nil
}

func create(d disk, h Header, o Options) (*Writer, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	pub, err := witness.PublicKey(o.Signer)
	if err != nil {
		return nil, err
	}
	began := o.Now()
	if h.Agent == "" {
		h.Agent = session.Fingerprint(pub)
	}
	if h.Started.IsZero() {
		h.Started = began
	}
	h.Started = h.Started.UTC().Truncate(time.Microsecond)
	aead, key, err := newInputKey(o.InputRecipient)
	if err != nil {
		return nil, err
	}
	doc := opening{V: 1, Session: h, Signer: session.KeyLine(pub), Boot: bootMicros(), Input: key, Outputs: []string{}}
	part, err := signDocument(o.Signer, witness.Header, headerMagic, doc)
	if err != nil {
		return nil, err
	}
	if _, _, err := parseHeader(part); err != nil {
		return nil, fmt.Errorf("the header would not be readable: %w", err)
	}
	b, err := newBinder(d, o.Signer, part, doc)
	if err != nil {
		return nil, err
	}
	p, err := newPainter(o.Picture)
	if err != nil {
		return nil, err
	}
	if err := d.commit(HeaderPart, part); err != nil {
		return nil, fmt.Errorf("write the header: %w", err)
	}
	w := &Writer{options: o, began: began, lost: make(chan struct{}), binder: b, input: aead, ended: b.totals,
		duties: duties{newDuty(), newDuty()}, painter: p}
	w.queue.room.L = &w.mu
	go w.clock.keep(w.tick)
	go w.closer.keep(w.settle)
	if o.Picture != nil {
		go w.painter.keep(w.draw)
	}
	o.OnPart()
	return w, nil
}

// Lost is closed when the recorder can no longer record (disk full, I/O error).
func (w *Writer) Lost() <-chan struct{} { return w.lost }

// Record appends an event: its bytes are written to the open segment when it returns
// nil. At is set here. After the first error every later call fails. See
// session.Recorder.
func (w *Writer) Record(e session.Event) error {
	if !isEvent(byte(e.Kind)) || len(e.Data) > session.MaxEventData {
		return session.Errorf(session.Invalid, "an event of kind %q with %d bytes cannot be recorded", e.Kind, len(e.Data))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awaitRoom(len(e.Data))
	if w.closed {
		return session.Errorf(session.Refused, "the recording is closed")
	}
	return w.guarded(func() error { return w.append(e) })
}

// guarded runs a step that writes. When it fails, or panics, the recorder is lost:
// nobody knows what is at the end of the file. The caller holds the lock.
func (w *Writer) guarded(step func() error) (err error) {
	if w.err != nil {
		return w.err
	}
	err = errors.New("the recorder was interrupted")
	defer func() {
		if err != nil {
			w.err = &session.Error{Kind: session.Internal, Message: "The session can no longer be recorded", Err: err,
				Next: "Ask the hospital's IT to look at the agent's disk, then connect again."}
			err = w.err
			close(w.lost)
			w.queue.room.Broadcast()
		}
	}()
	err = step()
	return err
}

func (w *Writer) append(e session.Event) error {
	now := w.options.Now()
	if w.full(len(e.Data), now) {
		w.rotate()
	}
	if w.open == nil {
		if err := w.begin(now); err != nil {
			return err
		}
	}
	if err := w.write(w.eventFrame(e, now)); err != nil {
		return err
	}
	w.open.kinds.add(e.Kind)
	w.touch(now)
	return nil
}

// full reports whether an event does not fit into the open segment any more. One that
// fills within a moment is bulk and may become larger.
func (w *Writer) full(data int, now time.Time) bool {
	s := w.open
	if s == nil || s.events == 0 {
		return false
	}
	size := s.offset - s.stood + int64(frameHead+data+frameCheck)
	return size > int64(w.options.bulk) || size > int64(w.options.SegmentBytes) && now.Sub(s.began) >= bulkTime
}

// awaitRoom waits for the disk where too much is not closed yet. The caller holds the lock.
func (w *Writer) awaitRoom(data int) {
	for w.err == nil && !w.closed && w.full(data, w.options.Now()) &&
		(len(w.queue.segments) >= maxUnclosed || w.queue.bytes+w.open.offset > maxUnclosedBytes) {
		w.queue.room.Wait()
	}
}

// eventFrame lays an event out in w.buf, sealed when it must be.
func (w *Writer) eventFrame(e session.Event, now time.Time) frame {
	f := frame{kind: byte(e.Kind), stream: e.Stream, at: w.at(now)}
	if !e.Kind.Sealed() {
		w.buf = append(openFrame(w.buf[:0], f, len(e.Data)), e.Data...)
		return f
	}
	f.flags = flagSealed
	p := place{id: w.binder.id, segment: w.ended.segments, frame: w.open.frames, kind: f.kind, stream: f.stream, at: f.at}
	w.buf = openFrame(w.buf[:0], f, len(e.Data)+w.input.Overhead())
	w.buf = w.input.Seal(w.buf, p.nonce(), e.Data, p.bound())
	return f
}

// write completes the frame in w.buf and writes it with one write.
func (w *Writer) write(f frame) error {
	w.buf = binary.BigEndian.AppendUint32(w.buf, nextCheck(w.open.check, w.buf))
	n, err := w.open.file.Write(w.buf)
	if err == nil && n != len(w.buf) {
		err = errors.New("short write")
	}
	if err != nil {
		return fmt.Errorf("append to the open segment: %w", err)
	}
	w.open.add(f, w.buf)
	return nil
}

// at is now on the recording's clock, which never runs backwards.
func (w *Writer) at(now time.Time) int64 {
	at := max(now.Sub(w.began).Microseconds(), w.ended.at)
	if w.open != nil {
		at = max(at, w.open.last)
	}
	return at
}

// begin opens the next segment. Its first frame says where it belongs; what stood at this
// moment follows where it is drawn already.
func (w *Writer) begin(now time.Time) error {
	index := w.ended.segments
	if index >= MaxSegments {
		return errors.New("the recording has as many segments as it can")
	}
	f, err := w.binder.disk.create(openName(index))
	if err != nil {
		return fmt.Errorf("open a segment: %w", err)
	}
	head := frame{kind: kindBegin, at: w.at(now)}
	w.open = &openSegment{tally: newTally(), file: f, began: now}
	data := beginData(w.binder.id, index, w.ended.chain, now.UnixMicro(), bootMicros())
	w.buf = append(openFrame(w.buf[:0], head, len(data)), data...)
	if err := w.write(head); err != nil {
		return err
	}
	return w.standing(now)
}

// rotate ends the open segment and leaves it to the closer: the next one hangs on what
// was recorded, however that will be stored.
func (w *Writer) rotate() {
	s := w.open
	s.closed = s.extent(w.ended.segments, w.ended.chain)
	w.ended.add(raw(s.closed))
	w.queue.segments, w.queue.bytes = append(w.queue.segments, s), w.queue.bytes+s.offset
	w.open = nil
	w.closer.wake()
}

// head signs how far the recording has come and writes that into it.
func (w *Writer) head(now time.Time) error {
	f := frame{kind: kindHead, at: w.at(now)}
	h, err := witness.Head{
		Recording: w.binder.id, Segment: w.ended.segments, Offset: uint64(w.open.offset),
		At: f.at, Wall: now.UnixMicro(), Boot: bootMicros(),
		Chain: w.ended.chain, Plain: w.open.sum(),
	}.Signed(w.options.Signer)
	if err != nil {
		return err
	}
	w.buf = append(openFrame(w.buf[:0], f, witness.HeadSize), h.Bytes()...)
	if err := w.write(f); err != nil {
		return err
	}
	w.due = time.Time{}
	w.options.OnHead(h)
	return nil
}

// Close seals the recording with the reason for which its connection ended.
// Closing twice does nothing and returns the first result. A recorder that was lost
// is sealed torn if the disk lets it; otherwise its parts stay for Recover. In both
// cases Close returns why it was lost.
func (w *Writer) Close(reason session.EndReason) error {
	w.ending.once.Do(func() { w.ending.err = w.end(reason) })
	return w.ending.err
}

func (w *Writer) end(reason session.EndReason) error {
	w.mu.Lock()
	w.closed = true
	w.queue.room.Broadcast()
	w.mu.Unlock()
	w.clock.halt()
	w.closer.halt()
	w.painter.end()

	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.err
	if err == nil {
		err = w.guarded(func() error { return w.complete(reason) })
	}
	if err != nil {
		err = errors.Join(err, w.tear(reason))
	}
	if d, ok := w.binder.disk.(*directory); ok {
		err = errors.Join(err, d.close())
	}
	return err
}

// complete closes the last segment and seals.
func (w *Writer) complete(reason session.EndReason) error {
	ended := w.options.Now()
	if w.open != nil {
		w.rotate()
	}
	for _, s := range w.queue.segments {
		if err := w.binder.closeSegment(s); err != nil {
			return err
		}
		w.options.OnPart()
	}
	if _, err := w.binder.seal(SealInfo{State: Sealed, Reason: reason, Ended: ended}); err != nil {
		return err
	}
	w.options.OnPart()
	return nil
}

// tear seals a recorder that was lost: what is sound is kept.
func (w *Writer) tear(reason session.EndReason) error {
	for _, s := range append(w.queue.segments, w.open) {
		if s != nil {
			_ = s.file.Close() // what the file holds is read again, so this error adds nothing
		}
	}
	if _, err := w.binder.tear(SealInfo{Reason: reason, Ended: w.options.Now()}); err != nil {
		return err
	}
	w.options.OnPart()
	return nil
}
