package recordings

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Reader gives the events of a recording back, in order, and checks everything on
// its way: signatures, hashes, chain, heads. It is the one reader for live view,
// replay, verification and repair. It holds one segment in memory at a time and is
// not safe for concurrent use.
//
// It does not know whose key signed; Verify with a trust bundle tells that.
type Reader struct {
	source  source
	begun   opening
	pub     ed25519.PublicKey
	id      session.ID
	unpack  unpacker
	totals  totals
	seg     *segmentInHand
	input   cipher.AEAD
	sealed  *SealInfo
	sealSum [sha256.Size]byte // of the seal part, once sealed is set
	locked  int               // length of the event just returned, when it is locked; -1: it is not
	err     error             // damage, for good
	heads   func(witness.Head)
	stood   func(Standing)
	sought  bool // it did not begin at the beginning
}

// segmentInHand is the segment that is being read.
type segmentInHand struct {
	scanner
	plain  []byte
	closed *descriptor // nil: still open
	at     int64       // offset of the part
}

// Open reads the single-file form. A file without a seal is read as far as it goes.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	return newReader(&stream{r: r, size: size})
}

// Follow reads a recording in its own directory, also while it is being written:
// Next returns io.EOF when there is nothing more yet and can be called again later;
// Seal tells whether it is over. Close frees the directory.
func Follow(dir string) (*Reader, error) {
	d, err := openDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("follow a recording: %w", err)
	}
	r, err := newReader(folder{dir: d})
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return r, nil
}

// Again is another Reader of the same recording, from its beginning, for another goroutine: it
// opens what this one was given the key for. It is closed first.
func (r *Reader) Again() (*Reader, error) {
	x, err := newReader(r.source.again())
	if err == nil {
		x.input = r.input
	}
	return x, err
}

func newReader(s source) (*Reader, error) {
	part, err := s.header()
	if err != nil {
		return nil, unreadable(err)
	}
	o, pub, err := parseHeader(part)
	if errors.Is(err, ErrSealedContent) {
		return nil, &session.Error{Kind: session.Refused, Message: "The content of this recording is sealed to the hospital", Err: err,
			Next: "Open it at the hospital, with the identity that it is sealed to."}
	}
	if err != nil {
		return nil, unreadable(&Damage{Reason: "the header is not sound: " + err.Error()})
	}
	id, err := session.ParseRecordingID(o.Session.Recording)
	if err != nil {
		return nil, unreadable(err)
	}
	u, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	return &Reader{source: s, begun: o, pub: pub, id: id, unpack: u, totals: newTotals(part), locked: -1}, nil
}

func unreadable(err error) error {
	return &session.Error{Kind: session.Invalid, Message: "This is not a sound recording", Err: err,
		Next: "Run sallyport verify on it to see where it breaks."}
}

// Header is what was known when the recording began.
func (r *Reader) Header() Header { return r.begun.Session }

// Signer is the public key that signed everything in the recording.
func (r *Reader) Signer() ed25519.PublicKey { return r.pub }

// Seal is how the recording ended, once Next has come to its end; false while no
// seal has been seen.
func (r *Reader) Seal() (SealInfo, bool) {
	if r.sealed == nil {
		return SealInfo{}, false
	}
	return *r.sealed, true
}

// Segments is how many closed segments were read to their end.
func (r *Reader) Segments() uint32 { return r.totals.segments }

// Unlock lets Next return the content of sealed events from here on. identity is the
// site's input identity, which the hospital keeps.
func (r *Reader) Unlock(identity age.Identity) error {
	aead, err := r.begun.Input.unwrap(identity)
	if err != nil {
		return &session.Error{Kind: session.Denied, Message: "This identity does not open the typed input of the recording", Err: err,
			Next: "The identity belongs to " + r.begun.Input.Recipient + "; the hospital keeps it."}
	}
	r.input = aead
	return nil
}

// Locked reports whether the event that Next returned last is sealed and was not
// unlocked, and how many bytes it holds. Its Data is nil.
func (r *Reader) Locked() (length int, locked bool) {
	return max(r.locked, 0), r.locked >= 0
}

// Close frees what the Reader holds.
func (r *Reader) Close() error {
	r.unpack.zstd.Close()
	if f, ok := r.source.(folder); ok && !f.lent {
		return f.dir.close()
	}
	return nil
}

// Next returns the next event; its Data may be kept. io.EOF is the end of what there
// is. Damage is an error whose chain holds a *Damage; after it nothing more comes.
func (r *Reader) Next() (session.Event, error) {
	r.locked = -1
	for r.err == nil {
		f, err := r.frame()
		if errors.Is(err, io.EOF) {
			return session.Event{}, io.EOF
		}
		if err == nil && isEvent(f.kind) {
			var e session.Event
			if e, err = r.event(r.seg, f); err == nil {
				return e, nil
			}
		}
		if err != nil {
			r.err = unreadable(err)
		}
	}
	return session.Event{}, r.err
}

// frame returns the next frame of whatever segment comes next.
func (r *Reader) frame() (frame, error) {
	for {
		if r.seg == nil {
			if err := r.advance(); err != nil {
				return frame{}, err
			}
		}
		s := r.seg
		f, _, err := s.next(s.plain[s.offset:])
		switch {
		case err == nil:
			return f, nil
		case s.closed == nil:
			// The tail of an open segment: not written yet, or torn. Only time, or repair, tells.
			if err := r.refill(); err != nil {
				return frame{}, err
			}
		case errors.Is(err, errShort) && s.offset == int64(len(s.plain)):
			if err := r.finish(); err != nil {
				return frame{}, err
			}
		default:
			return frame{}, damaged(s.index, s.at+segmentHead, "its content is not sound: %v", err)
		}
	}
}

// event turns a frame into an event, unsealed if that is possible.
func (r *Reader) event(s *segmentInHand, f frame) (session.Event, error) {
	e := session.Event{At: f.at, Kind: session.EventKind(f.kind), Stream: f.stream, Data: f.data}
	if f.flags&flagSealed == 0 {
		return e, nil
	}
	if r.input == nil {
		e.Data, r.locked = nil, len(f.data)-sealOverhead
		return e, nil
	}
	p := place{id: r.id, segment: s.index, frame: s.frames - 1, kind: f.kind, stream: f.stream, at: f.at}
	data, err := r.input.Open([]byte{}, p.nonce(), f.data, p.bound())
	if err != nil {
		return session.Event{}, damaged(s.index, s.at+segmentHead, "a sealed event does not open with the recording's key")
	}
	e.Data = data
	return e, nil
}

// advance takes the next segment in hand, or the seal. io.EOF: nothing (more).
func (r *Reader) advance() error {
	if r.sealed != nil {
		return io.EOF
	}
	n := r.totals.segments
	// The seal is looked for first: it is written last, so when it is there, so is
	// every segment.
	seal, sealAt, err := r.source.seal()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := r.closedSegment(n); !errors.Is(err, io.EOF) {
		return err
	}
	if seal != nil {
		return r.end(seal, sealAt)
	}
	plain, err := r.source.open(n)
	if errors.Is(err, io.EOF) {
		return r.closedSegment(n) // it may have been closed just now
	}
	if err != nil {
		return err
	}
	r.seg = &segmentInHand{scanner: r.scanner(n), plain: plain}
	return nil
}

func (r *Reader) scanner(n uint32) scanner {
	return scanner{tally: newTally(), id: r.id, pub: r.pub, index: n, prev: r.totals.chain, floor: r.totals.at, heads: r.heads}
}

// closedSegment checks and unpacks segment n. It continues the one in hand, which was
// read while it was open, or begins it.
func (r *Reader) closedSegment(n uint32) error {
	part, at, err := r.source.segment(n)
	if err != nil {
		return err
	}
	d, err := checkSegment(part, r.pub)
	switch {
	case errors.Is(err, errStored):
		return damaged(n, at+segmentHead, "%v", err)
	case err != nil:
		return damaged(n, at, "%v", err)
	case d.index != n:
		return damaged(n, at, "segment %d stands where segment %d should", d.index, n)
	case d.prev != r.totals.chain:
		return damaged(n, at, "it does not continue what stands before it")
	}
	plain, err := r.unpack.unpack(d, part[segmentHead:])
	if err != nil {
		return damaged(n, at+segmentHead, "%v", err)
	}
	if r.seg == nil {
		r.seg = &segmentInHand{scanner: r.scanner(n)}
	}
	if int64(len(plain)) < r.seg.offset {
		return damaged(n, at+segmentHead, "it lost what had been read of it")
	}
	r.seg.plain, r.seg.closed, r.seg.at = plain, &d, at
	return nil
}

// refill gets more of the open segment in hand; io.EOF when there is none yet.
func (r *Reader) refill() error {
	s := r.seg
	if err := r.closedSegment(s.index); !errors.Is(err, io.EOF) {
		return err
	}
	plain, err := r.source.open(s.index)
	if errors.Is(err, io.EOF) {
		return r.closedSegment(s.index)
	}
	if err != nil {
		return err
	}
	if len(plain) <= len(s.plain) {
		return io.EOF
	}
	s.plain = plain
	return nil
}

// finish compares a segment that was read to its end with what was signed for it.
func (r *Reader) finish() error {
	s, d := r.seg, r.seg.closed
	if s.extent(d.index, d.prev) != d.extent {
		return damaged(s.index, s.at+segmentHead, "its content is not what was signed")
	}
	r.totals.add(*d)
	r.seg = nil
	if r.stood != nil {
		r.stood(s.standing())
	}
	return nil
}

// end checks the seal against everything that was read.
func (r *Reader) end(part []byte, at int64) error {
	info, err := parseSeal(part, r.pub)
	if err != nil {
		return &Damage{Offset: at, Reason: "the seal is not sound: " + err.Error()}
	}
	t := r.totals
	switch {
	case info.Recording != r.begun.Session.Recording:
		return &Damage{Offset: at, Reason: "the seal is of another recording"}
	case info.Segments > t.segments:
		return damaged(t.segments, at, "it is missing: the seal counts %d segments", info.Segments)
	case !r.sought && (info.Events != t.events || info.Plain != t.plain || info.Stored != t.stored) ||
		info.Segments != t.segments || info.At != t.at || info.Chain != hex.EncodeToString(t.chain[:]):
		return &Damage{Offset: at, Reason: "the seal does not fit what stands before it"}
	}
	if file, ok := r.source.(*stream); ok && at+int64(len(part)) != file.size {
		return &Damage{Offset: at + int64(len(part)), Reason: "something follows the seal"}
	}
	r.sealed, r.sealSum = &info, sha256.Sum256(part)
	return io.EOF
}
