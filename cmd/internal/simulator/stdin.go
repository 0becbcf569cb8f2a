package simulator

import (
	"bytes"
	"io"
	"sync"
)

const (
	ctrlC = 0x03
)

// abortLine is how an interrupt reaches whoever edits a line: a key that no keyboard
// has, which the terminal turns into "^C", and Enter.
const (
	abortKey  = 0x1f
	abortLine = "\x1f\r"
)

// stdin holds what a peer has sent until a program reads it, with the one rule of a
// terminal's line discipline that matters here: Ctrl-C interrupts the running command.
type stdin struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte
	eof     bool   // the peer sends no more
	closed  bool   // nobody reads any more
	tty     bool   // Ctrl-C means something
	reading bool   // somebody edits a line: an interrupt drops the line
	pending bool   // an interrupt that whoever reads a line next must see
	fg      func() // interrupts the running command; nil at the prompt
}

func newStdin() *stdin {
	in := &stdin{}
	in.changed.L = &in.mu
	return in
}

// push adds what arrived, waiting while too much is unread; after close it drops it.
func (in *stdin) push(p []byte) {
	for len(p) > 0 {
		in.mu.Lock()
		cut := bytes.IndexByte(p, ctrlC)
		if !in.tty || cut < 0 {
			cut = len(p)
		}
		for len(in.buf) >= maxAhead && !in.closed {
			in.changed.Wait()
		}
		if !in.closed {
			in.buf = append(in.buf, p[:cut]...)
			in.changed.Broadcast()
		}
		in.mu.Unlock()
		if cut < len(p) {
			in.interrupt()
			cut++
		}
		p = p[cut:]
	}
}

// interrupt is Ctrl-C, or the signal INT. It drops what was typed ahead, ends the running
// command and aborts the line being edited. Between a line and its command it waits for
// either, so that none is lost.
func (in *stdin) interrupt() {
	in.mu.Lock()
	if in.tty {
		in.buf = in.buf[:0]
	}
	fg := in.fg
	if in.reading {
		fg = nil
	}
	in.pending = in.tty
	in.changed.Broadcast()
	in.mu.Unlock()
	if fg != nil {
		fg()
	}
}

// foreground names what an interrupt ends, and ends it at once if one waits; nil: the
// command is over, and an interrupt it did not wait for with it.
func (in *stdin) foreground(fg func()) {
	in.mu.Lock()
	in.fg = fg
	now := in.pending && fg != nil
	if fg == nil {
		in.pending = false
	}
	in.mu.Unlock()
	if now {
		fg()
	}
}

func (in *stdin) finish() { in.set(func() { in.eof = true }) }

// close ends every Read, present and future, and drops what is left.
func (in *stdin) close() { in.set(func() { in.closed, in.buf = true, nil }) }

func (in *stdin) set(change func()) {
	in.mu.Lock()
	change()
	in.changed.Broadcast()
	in.mu.Unlock()
}

func (in *stdin) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.buf) == 0 && !in.pending && !in.eof && !in.closed {
		in.changed.Wait()
	}
	if in.pending && !in.closed {
		in.pending = false
		in.buf = append([]byte(abortLine), in.buf...)
	}
	if in.closed || len(in.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, in.buf)
	in.buf = append(in.buf[:0], in.buf[n:]...)
	in.changed.Broadcast()
	return n, nil
}
