package recordings

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Picture draws what the streams of a recording look like, from what was recorded. The
// Writer calls it from one goroutine, which no Record waits for.
type Picture interface {
	// Take draws an event, whose data is valid until it returns; typed input and other
	// sealed events are left out.
	Take(session.Event)
	// Snapshots are what stands. complete tells whether that is everything that who
	// begins here has to know. While there are none, and it is complete, nothing is
	// taken but what begins with an opened channel.
	Snapshots() (all []session.Snapshot, complete bool)
	// Forget is called when the picture is too far behind: what is open now need not be
	// drawn any more, so that Take is quick.
	Forget()
	Close()
}

// kinds is a set of event kinds.
type kinds uint32

func (k *kinds) add(e session.EventKind)     { *k |= 1 << (e - 'a') }
func (k kinds) has(e session.EventKind) bool { return k&(1<<(e-'a')) != 0 }

// sparing is what was recorded since a console was drawn, so that it is not drawn too often.
type sparing struct {
	console  bool  // one stood
	drawn    int64 // bytes of it
	bytes    int64
	segments int
}

// after takes note of a segment, and reports whether what stood need not be drawn after it.
func (s *sparing) after(x *openSegment) bool {
	s.bytes, s.segments = s.bytes+x.offset-x.stood, s.segments+1
	s.console = s.console && !x.kinds.has(session.ChannelOpened) && !x.kinds.has(session.ChannelClosed)
	return s.console && s.bytes < consoleEvery*s.drawn && s.segments < consoleSegments
}

// painter draws closed segments and leaves what stands at the begin of the next.
type painter struct {
	duty
	picture Picture // nil: nothing is drawn
	unpack  unpacker
	last    int // snapshots that stood last

	// Guarded by the Writer's mu.
	since sparing
	queue []*openSegment // closed and not drawn
	bytes int64
	lost  bool    // the picture failed: nothing is drawn any more
	drawn []frame // what stands at the begin of segment `at`, not written yet
	at    uint32
}

func newPainter(p Picture) (painter, error) {
	d := painter{duty: newDuty(), picture: p}
	if p == nil {
		close(d.done)
		return d, nil
	}
	var err error
	d.unpack, err = newUnpacker()
	return d, err
}

// end stops it, without finishing what it draws.
func (p *painter) end() {
	p.halt()
	if p.picture != nil {
		p.picture.Close()
		p.unpack.zstd.Close()
	}
}

// hand gives it a segment that was just closed.
func (p *painter) hand(s *openSegment) {
	if p.picture != nil && !p.lost {
		p.queue, p.bytes = append(p.queue, s), p.bytes+s.offset
		p.wake()
	}
}

// draw draws the oldest segment that is not drawn, and writes what stands then into the
// one that follows it, unless that has ended in the meantime: then nobody can begin
// there, and seeks begin earlier.
func (w *Writer) draw() time.Duration {
	p := &w.painter
	w.mu.Lock()
	if w.err != nil || w.closed || len(p.queue) == 0 {
		w.mu.Unlock()
		return 0
	}
	s, behind := p.queue[0], p.bytes > maxUndrawn
	w.mu.Unlock()

	// A segment in which nothing was opened shows nothing new where nothing is open.
	if p.last > 0 || s.kinds.has(session.ChannelOpened) {
		if err := p.safely(func() error { return p.take(w.binder.disk, s.closed.index, behind) }); err != nil {
			return w.undrawn() // stopped, or the disk is ill, which others find out and say
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p.queue, p.bytes = p.queue[1:], p.bytes-s.offset
	if next := s.closed.index + 1; !p.since.after(s) && w.ended.segments == next && w.err == nil && !w.closed {
		w.mu.Unlock()
		var frames []frame
		err := p.safely(func() error { frames = p.frames(); return nil })
		w.mu.Lock()
		if err != nil {
			p.giveUp()
			return 0
		}
		p.drawn, p.at = frames, next
		if now := w.options.Now(); w.open != nil && w.err == nil && !w.closed {
			_ = w.guarded(func() error { return w.standing(now) })
		}
	}
	return time.Microsecond
}

// undrawn gives the picture up: no segment waits for one that failed.
func (w *Writer) undrawn() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.painter.giveUp()
	return 0
}

// giveUp is called with the Writer's mu held.
func (p *painter) giveUp() { p.queue, p.bytes, p.lost = nil, 0, true }

// safely takes a panic of the picture for an error: the session goes on without it.
func (p *painter) safely(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a recording's picture: %v", r)
		}
	}()
	return do()
}

// take draws one closed segment.
func (p *painter) take(d disk, index uint32, behind bool) error {
	part, err := d.read(SegmentPart(index))
	if err != nil {
		return err
	}
	desc, err := checkSegmentHead(part, nil)
	if err == nil && len(part) != segmentHead+int(desc.stored) {
		err = errors.New("its length is wrong")
	}
	if err != nil {
		return fmt.Errorf("draw segment %d: %w", index, err)
	}
	if behind {
		p.picture.Forget()
	}
	in, err := p.unpack.stream(desc, part[segmentHead:])
	if err != nil {
		return err
	}
	defer func() { _ = p.unpack.zstd.Reset(nil) }()
	return eachFrame(in, func(b []byte) error {
		if isEvent(b[4]) && b[5] == 0 {
			p.picture.Take(session.Event{Kind: session.EventKind(b[4]), Stream: binary.BigEndian.Uint32(b[6:]),
				At: int64(binary.BigEndian.Uint64(b[10:])), Data: b[frameHead : len(b)-frameCheck]})
		}
		select {
		case <-p.stop:
			return errors.New("the recording is over")
		default:
			return nil
		}
	})
}

// frames are what stands now.
func (p *painter) frames() []frame {
	all, complete := p.picture.Snapshots()
	p.last = len(all)
	if !complete {
		p.last++ // something is open that is not drawn
	}
	slices.SortFunc(all, func(a, b session.Snapshot) int { return cmp.Compare(a.Stream, b.Stream) })
	var out []frame
	size, written, last := 0, uint32(0), uint32(0)
	for _, s := range all { // whatever the picture does, what is written can be read
		if s.Stream <= last || !isEvent(byte(s.Kind)) || len(s.Data) > maxSnapshot || size+len(s.Data) > maxSnapshots {
			complete = false
			continue
		}
		out, size, written, last = append(out, pieces(s)...), size+len(s.Data), written+1, s.Stream
	}
	if complete {
		out = append(out, frame{kind: kindSnapshot, data: binary.BigEndian.AppendUint32([]byte{allThere, 0}, written)})
	}
	return out
}

// standing writes what stood at the begin of the open segment, once that is drawn.
func (w *Writer) standing(now time.Time) error {
	p := &w.painter
	if len(p.drawn) == 0 || p.at != w.ended.segments {
		return nil
	}
	frames := p.drawn
	p.drawn = nil
	before, console := w.open.offset, false
	for _, f := range frames {
		f.at = w.at(now)
		console = console || f.data[0] == byte(session.ConsoleSnapshot)
		w.buf = append(openFrame(w.buf[:0], f, len(f.data)), f.data...)
		if err := w.write(f); err != nil {
			return err
		}
	}
	p.since = sparing{}
	if console {
		w.open.stood = w.open.offset - before
		p.since = sparing{console: true, drawn: w.open.stood}
	}
	w.touch(now)
	return nil
}
