package files

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
	"github.com/sallyport/sallyport/session/held"
)

// Gate decides whether something of the engineer may go to the device now; see
// session/terminal.
type Gate interface {
	Pass(send func() error) error
}

// Config says what one transfer channel may do and where its record goes.
type Config struct {
	Recorder session.Recorder
	Gate     Gate
	Stream   uint32        // the channel's number within the recording
	Next     func() uint32 // numbers for files
	In, Out  bool          // towards the device, from the device
	// Refused puts on record what the engineer's client asked for and did not get.
	Refused func(what, detail string)
	// Device opens one session channel on the device's connection.
	Device func() (ssh.Channel, <-chan *ssh.Request, error)
	// Share is what the session may hold of what comes out of order; nil: its own alone.
	Share *held.Share
}

// Operations are what can be done with a device's files: each is allowed or refused,
// recorded, and passes the gate. Paths reach the device as they were typed; a handle is
// the device's open file, whatever its path is by now.
//
// Operations may be used by several goroutines. Those on one handle keep the order in
// which Do is called: only reads overlap, and writes that have no byte in common;
// everything else, and every write of a file opened for appending, waits for those
// before it.
type Operations struct {
	cfg Config
	far *device

	life sync.RWMutex // held for reading while something is recorded and sent
	over bool         // guarded by life

	mu       sync.Mutex // guards what follows
	answered *sync.Cond // something was
	flights  int        // asked and not answered
	open     map[string]*file
	taken    int // of maxOpen, with those being opened
	last     uint32
}

// file is an open file or directory.
type file struct {
	handle    string // the device's
	typed     string // its path as the client wrote it,
	path      string // and legible
	directory bool
	appends   bool
	stream    uint32
	direction session.Channel
	digest    *digest
	back      *digest // of what is read from a file that is written; nil: the other one
	listed    int     // bytes of a directory that were told

	flights []*step // guarded by Operations.mu, as what follows
	closed  bool
}

// step is one operation under way.
type step struct {
	packet.Request        // as the client asked
	file, into     *file  // whose handles the request has; file also what is being opened
	path           string // what it is about, in the record
	reply          func(packet.Response)
	announced      bool // on record before it was sent
}

// Dial opens the device's sftp subsystem.
func Dial(cfg Config) (*Operations, error) {
	if cfg.Share == nil {
		cfg.Share = NewBudget().By(held.Owner{})
	}
	o := &Operations{cfg: cfg, open: map[string]*file{}}
	o.answered = sync.NewCond(&o.mu)
	var err error
	if o.far, err = dial(cfg, o.settle); errors.Is(err, errTalks) {
		return nil, &session.Error{Kind: session.Refused, Message: "The device's login shell prints text where sftp should begin.",
			Next: "Ask the hospital to let that account's .bashrc print nothing where nobody reads it, or to use internal-sftp.", Err: err}
	} else if err != nil {
		return nil, &session.Error{Kind: session.Refused, Message: "The device offers no sftp.",
			Next: "Ask the hospital whether its SSH server has the sftp subsystem.", Err: err}
	}
	return o, nil
}

// Gone is closed when the device's end is gone and everything asked has been answered.
func (o *Operations) Gone() <-chan struct{} { return o.far.gone }

// Hangup ends the device's end of it; everything asked is answered as lost.
func (o *Operations) Hangup() { o.far.hangup() }

// Close ends everything, and puts on record that what is open was never closed.
func (o *Operations) Close() {
	o.far.close()
	o.life.Lock()
	o.over = true
	o.life.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.open {
		if !f.directory {
			f.spoil(cutOff)
			_ = o.summary(f)
		}
	}
}

// Do asks the device for something, and returns when that has been sent or refused.
// reply is called once, with what is on record by then; it may be called before Do
// returns, must not ask for anything itself, and what it gets is its own only until it
// returns. The request's data is not kept.
func (o *Operations) Do(r packet.Request, reply func(packet.Response)) {
	if r.Op == packet.WriteAt {
		r.Length = uint32(len(r.Data))
	}
	s := &step{Request: r, reply: reply}
	if code := o.admit(s); code != packet.OK {
		reply(packet.Says(code))
		return
	}
	err := o.cfg.Gate.Pass(func() error {
		o.life.RLock()
		defer o.life.RUnlock()
		if o.over {
			return errLost
		}
		if err := o.announce(s); err != nil {
			return err
		}
		s.announced = true
		return o.far.send(s)
	})
	if err == errLost {
		o.settle(s, packet.Says(packet.ConnectionLost))
	} else if err != nil { // not let pass, or not to be recorded
		if s.Op == packet.ReadAt || s.Op == packet.WriteAt {
			s.file.way(s.Op).spoil(cutOff)
		}
		o.settle(s, packet.Says(packet.Failure))
	}
}

// Ask is Do that waits for the answer.
func (o *Operations) Ask(r packet.Request) packet.Response {
	got := make(chan packet.Response, 1)
	o.Do(r, func(a packet.Response) {
		a.Data = append([]byte(nil), a.Data...)
		got <- a
	})
	return <-got
}

// Quiet waits until everything asked has been answered.
func (o *Operations) Quiet() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.flights > 0 {
		o.answered.Wait()
	}
}

// admit finds the handles, refuses what is not granted, and waits for the request's turn.
func (o *Operations) admit(s *step) packet.Code {
	if !o.far.can(s.Op) {
		return packet.OpUnsupported
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if code := o.find(s); code != packet.OK {
		return code
	}
	if code := o.allow(s); code != packet.OK {
		return code
	}
	if s.Op == packet.Open || s.Op == packet.Opendir {
		if o.taken >= maxOpen {
			return packet.Failure
		}
		o.taken++
		s.file = o.opening(s)
	}
	for o.flights >= maxFlights || s.file.waits(s) || s.into.waits(s) {
		o.answered.Wait()
	}
	if s.file != nil && s.file.closed || s.into != nil && s.into.closed {
		return packet.Failure
	}
	o.flights++
	s.file.begin(s)
	s.into.begin(s)
	return packet.OK
}

// find puts the files of the request's handles into the step.
func (o *Operations) find(s *step) packet.Code {
	s.path = legible(s.Path)
	if !s.Op.ByHandle() {
		return packet.OK
	}
	s.file = o.open[s.Handle]
	switch {
	case s.file == nil && (s.Op == packet.Close || s.Op == packet.Fsync):
		return packet.NoSuchFile // as OpenSSH says it
	case s.file == nil, s.file.directory != (s.Op == packet.Readdir) && s.Op != packet.Close:
		return packet.Failure
	}
	s.path = s.file.path
	if s.Op == packet.CopyData {
		if s.into = o.open[s.Into]; s.into == nil || s.into.directory {
			return packet.Failure
		}
	}
	return packet.OK
}

// allow refuses an operation that is not granted, or that nobody could record or do.
func (o *Operations) allow(s *step) packet.Code {
	how, action := mannerOf(s.Op), mannerOf(s.Op).action
	in, out := how.changes, s.Op == packet.ReadAt
	if s.Op == packet.Open {
		in = s.Flags&^packet.ForReading != 0
		out = s.Flags&packet.ForReading != 0 || s.Flags&packet.ForWriting == 0
		action = map[bool]string{true: "write", false: "read"}[in]
		if in && out {
			action = "read and write"
		}
	}
	switch {
	case len(s.Path) > maxPath, len(s.Target) > maxPath, strings.ContainsRune(s.Path+s.Target, 0):
		o.cfg.Refused("sftp "+action, "path too long or malformed")
		return packet.Failure
	case in && !o.cfg.In, out && !o.cfg.Out:
		o.cfg.Refused("sftp "+action, s.path)
		return packet.PermissionDenied
	case s.Offset > math.MaxInt64-packet.Most:
		return packet.Failure
	}
	s.Length = min(s.Length, maxRead)
	return packet.OK
}

// opening makes the file that a request may open.
func (o *Operations) opening(s *step) *file {
	f := &file{typed: s.Path, path: s.path, digest: newDigest(o.cfg.Share), direction: session.FilesOut}
	if f.directory = s.Op == packet.Opendir; f.directory {
		return f
	}
	f.stream = o.cfg.Next()
	if s.Flags&^packet.ForReading != 0 {
		f.direction = session.FilesIn
	}
	if f.appends = s.Flags&packet.Append != 0; f.appends {
		f.digest.unordered()
	}
	if s.Flags&packet.ForReading != 0 && f.direction == session.FilesIn {
		f.back = newDigest(o.cfg.Share)
	}
	return f
}

// way is the digest of what an operation moves.
func (f *file) way(op packet.Op) *digest {
	if op == packet.ReadAt && f.back != nil {
		return f.back
	}
	return f.digest
}

// spoil says why nothing of the file has a hash.
func (f *file) spoil(reason string) {
	f.digest.spoil(reason)
	if f.back != nil {
		f.back.spoil(reason)
	}
}

// opened gives a file its handle.
func (o *Operations) opened(f *file, handle string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	ours := string(binary.BigEndian.AppendUint32(nil, o.last))
	f.handle = handle
	o.open[ours] = f
	return ours
}

// done ends a step: what waited for it goes on. A file that is closed now, or was not
// opened, makes room.
func (o *Operations) done(s *step, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flights--
	s.file.end(s)
	s.into.end(s)
	if closed {
		s.file.closed = true
		delete(o.open, s.Handle)
		o.taken--
	}
	o.answered.Broadcast()
}

// waits reports whether a step on the file must wait for those before it.
func (f *file) waits(s *step) bool {
	if f == nil {
		return false
	}
	for _, before := range f.flights {
		switch {
		case s.Op == packet.ReadAt && before.Op == packet.ReadAt:
		case s.Op == packet.WriteAt && before.Op == packet.WriteAt && !f.appends &&
			(s.Offset >= before.end() || before.Offset >= s.end()):
		default:
			return true
		}
	}
	return false
}

// end is the first offset behind a write.
func (s *step) end() uint64 { return s.Offset + uint64(s.Length) }

func (f *file) begin(s *step) {
	if f != nil {
		f.flights = append(f.flights, s)
	}
}

func (f *file) end(s *step) {
	if f == nil {
		return
	}
	for i, one := range f.flights {
		if one == s {
			f.flights = append(f.flights[:i], f.flights[i+1:]...)
			return
		}
	}
}
