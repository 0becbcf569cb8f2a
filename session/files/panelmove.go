package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
)

// get moves a file from the device to the browser. It reads no further than there is
// credit, but for one chunk that tells whether the file has ended.
func (p *Panel) get(d *Operations, o *op) (answer, error) {
	is := d.Ask(packet.Request{Op: packet.Stat, Path: o.Path})
	if is.Kind != packet.Attributes {
		return answer{}, p.explain(d, o, is.Code)
	}
	if p.cfg.Out {
		if err := plainFile(is.Attrs, o.Path); err != nil {
			return answer{}, err
		}
	}
	f := d.Ask(packet.Request{Op: packet.Open, Path: o.Path, Flags: packet.ForReading})
	if f.Kind != packet.Handle {
		return answer{}, p.explain(d, o, f.Code)
	}
	size := sizeOf(is.Attrs)
	p.answer(answer{ID: o.ID, OK: true, Size: &size})
	down := &download{p: p, o: o, d: d, handle: f.Handle, size: size, sum: sha256.New()}
	err := down.move()
	p.cfg.Ahead.Give(down.held)
	if !errors.Is(err, errPanelOver) { // the record then says that it was never closed
		if code := d.Ask(packet.Request{Op: packet.Close, Handle: f.Handle}).Code; err == nil {
			err = down.explain(code)
		}
	}
	if err != nil {
		return answer{}, err
	}
	return answer{Done: true, Size: &down.at, SHA256: hex.EncodeToString(down.sum.Sum(nil))}, nil
}

// plainFile refuses what is no file: a pipe or a device node would hold up all others.
func plainFile(is packet.Attrs, name string) error {
	switch mode := is.FileMode(); {
	case mode.IsDir():
		return &session.Error{Kind: session.Refused, Message: short(name) + " is a folder.", Next: "Choose a file in it."}
	case !mode.IsRegular():
		return &session.Error{Kind: session.Refused, Message: short(name) + " is no plain file.", Next: "Choose another one."}
	}
	return nil
}

// download is a file on its way to the browser.
type download struct {
	p      *Panel
	o      *op
	d      *Operations
	handle string
	size   int64    // as the device said before
	asked  int64    // of it, and paid for
	ahead  []*chunk // asked for, in their order
	spare  []*chunk
	held   int   // bytes of the share that these take
	at     int64 // the browser has this much
	sum    hash.Hash
}

// chunk is content that was asked for.
type chunk struct {
	wanted int64
	data   []byte
	code   packet.Code
	come   chan struct{} // has room for one
}

func (d *download) move() error {
	for {
		if err := d.fill(); err != nil {
			return err
		}
		c, paid := d.ahead[0], d.asked > d.at
		d.ahead = d.ahead[1:]
		<-c.come
		if err := d.send(c.data, paid); err != nil {
			return err
		}
		switch {
		case c.code == packet.EOF:
			return nil
		case c.code != packet.OK || len(c.data) == 0:
			return d.explain(max(c.code, packet.Failure))
		case int64(len(c.data)) < c.wanted: // what it left out comes before the rest
			d.ahead = append([]*chunk{d.ask(d.at, c.wanted-int64(len(c.data)))}, d.ahead...)
		}
		d.spare = append(d.spare, c)
	}
}

// fill asks for as much as there is credit, and for something in any case. Behind the
// end that the device told of, one chunk at a time is asked for and paid when it is there.
func (d *download) fill() error {
	for len(d.ahead) < readAhead && d.asked < d.size && d.fits() {
		want := min(chunkSize, d.size-d.asked)
		n := d.o.take(want)
		if n == 0 && len(d.ahead) > 0 {
			break
		}
		if n == 0 {
			var err error
			if n, err = d.o.spend(want, d.p.gone); err != nil {
				return d.stopped(err)
			}
		}
		d.ahead = append(d.ahead, d.ask(d.asked, n))
		d.asked += n
	}
	if d.o.isCancelled() {
		return d.stopped(errStopped)
	}
	if len(d.ahead) == 0 {
		d.ahead = append(d.ahead, d.ask(d.at, chunkSize))
	}
	return nil
}

// fits reports whether one more chunk may be asked for ahead of the one that is waited for.
func (d *download) fits() bool {
	return len(d.ahead) == 0 || len(d.spare) > 0 || !d.p.cfg.Ahead.Full()
}

func (d *download) ask(at, n int64) *chunk {
	var c *chunk
	if last := len(d.spare) - 1; last >= 0 {
		c, d.spare = d.spare[last], d.spare[:last]
	} else {
		c = &chunk{come: make(chan struct{}, 1)}
		d.held += chunkSize + chunkCost
		d.p.cfg.Ahead.Take(chunkSize + chunkCost)
	}
	c.wanted = n
	d.d.Do(packet.Request{Op: packet.ReadAt, Handle: d.handle, Offset: uint64(at), Length: uint32(n)}, func(a packet.Response) {
		c.data, c.code = append(c.data[:0], a.Data...), a.Code
		c.come <- struct{}{}
	})
	return c
}

// send passes content on, against credit.
func (d *download) send(data []byte, paid bool) error {
	for len(data) > 0 {
		n := int64(len(data))
		if !paid {
			var err error
			if n, err = d.o.spend(n, d.p.gone); err != nil {
				return d.stopped(err)
			}
		}
		if d.o.isCancelled() {
			return d.stopped(errStopped)
		}
		if err := d.p.room(); err != nil {
			return err
		}
		if err := d.p.tell(func(to Out) error { return to.Data(d.o.ID, data[:n]) }); err != nil {
			return err
		}
		d.sum.Write(data[:n])
		d.at += n
		data = data[n:]
	}
	return nil
}

// stopped says how far a download got.
func (d *download) stopped(err error) error {
	if errors.Is(err, errStopped) {
		return &session.Error{Kind: session.Refused, Message: fmt.Sprintf("You stopped the download after %s.", bytesOf(d.at)), Next: "Nothing was changed on the device."}
	}
	return err
}

func (d *download) explain(code packet.Code) error {
	switch code {
	case packet.OK:
		return nil
	case packet.ConnectionLost:
		return errPanelOver
	}
	return &session.Error{Kind: session.Unreachable,
		Message: fmt.Sprintf("The device failed to read %s after %s.", short(d.o.Path), bytesOf(d.at)),
		Next:    "What you have is not complete. Try again, or look whether the file is still there."}
}

// put moves a file from the browser to the device. It is written in place, so what is
// stopped half-way stays there; the answer says so.
func (p *Panel) put(d *Operations, o *op) (answer, error) {
	handle, err := p.create(d, o)
	if err != nil {
		return answer{}, err
	}
	p.answer(answer{ID: o.ID, OK: true})
	u := &upload{p: p, o: o, d: d, handle: handle, sum: sha256.New()}
	err = u.grant(creditWindow)
	if err == nil {
		err = u.move()
	}
	if !errors.Is(err, errPanelOver) { // the record then says that it was never closed
		// Closing waits for every write; what was not taken is known then.
		code := d.Ask(packet.Request{Op: packet.Close, Handle: handle}).Code
		if err == nil {
			err = u.fault()
		}
		if err == nil {
			err = u.failed(code)
		}
	}
	if err != nil {
		return answer{}, u.explain(err)
	}
	return answer{Done: true, Size: &u.at, SHA256: hex.EncodeToString(u.sum.Sum(nil))}, nil
}

// create opens the file to be written. Without replace there must be none, which the
// device makes sure of itself; looking first is for the words.
func (p *Panel) create(d *Operations, o *op) (string, error) {
	how := uint32(packet.ForWriting | packet.Create | packet.Exclusive)
	if o.Replace {
		how = packet.ForWriting | packet.Create | packet.Truncate
	}
	if p.cfg.In {
		is := d.Ask(packet.Request{Op: packet.Stat, Path: o.Path})
		if is.Kind == packet.Attributes {
			err := plainFile(is.Attrs, o.Path)
			if err == nil && !o.Replace {
				err = taken(o.Path)
			}
			if err != nil {
				return "", err
			}
		} else if is.Code != packet.NoSuchFile {
			return "", p.explain(d, o, is.Code)
		}
	}
	f := d.Ask(packet.Request{Op: packet.Open, Path: o.Path, Flags: how})
	if f.Kind == packet.Handle {
		return f.Handle, nil
	}
	if f.Code == packet.NoSuchFile {
		return "", &session.Error{Kind: session.Refused, Message: "There is no such folder on the device.", Next: "Make the folder first, or choose another one."}
	}
	return "", p.explain(d, o, f.Code)
}

// upload is a file on its way to the device.
type upload struct {
	p      *Panel
	o      *op
	d      *Operations
	handle string
	sum    hash.Hash
	sent   int64

	mu      sync.Mutex // guards what follows: the device's answers come by themselves
	at      int64      // bytes that the device took, before the first that it did not
	granted int64
	err     error
}

// grant lets the browser send n more bytes, of what it announced.
func (u *upload) grant(n int64) error {
	u.mu.Lock()
	n = min(n, u.o.Size-u.granted)
	u.granted += max(n, 0)
	u.mu.Unlock()
	if n <= 0 {
		return nil
	}
	u.o.allow(n)
	return u.p.tell(func(to Out) error { return to.Credit(u.o.ID, uint32(n)) })
}

func (u *upload) move() error {
	for {
		data, err := u.o.next(u.p.gone)
		if errors.Is(err, io.EOF) {
			if u.sent < u.o.Size {
				return session.Errorf(session.Invalid, "The browser ended the upload before the end of the file.").WithNext("Choose the file again.")
			}
			return nil
		}
		if err != nil {
			return err
		}
		for len(data) > 0 {
			n := min(len(data), chunkSize)
			u.write(data[:n])
			data = data[n:]
		}
	}
}

// write sends a chunk; the device's answer lets the browser send as much again.
func (u *upload) write(data []byte) {
	n := int64(len(data))
	u.sum.Write(data)
	u.d.Do(packet.Request{Op: packet.WriteAt, Handle: u.handle, Offset: uint64(u.sent), Data: data}, func(a packet.Response) {
		if err := u.took(n, a.Code); err != nil {
			u.o.fail(err)
			return
		}
		_ = u.grant(n) // a browser that is gone ends the panel
	})
	u.sent += n
}

// took counts what the device took.
func (u *upload) took(n int64, code packet.Code) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil && code == packet.OK {
		u.at += n
	} else if u.err == nil {
		u.err = u.failedAt(code)
	}
	return u.err
}

func (u *upload) fault() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// failed is for a code of the device; nil for packet.OK.
func (u *upload) failed(code packet.Code) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failedAt(code)
}

func (u *upload) failedAt(code packet.Code) error {
	switch code {
	case packet.OK:
		return nil
	case packet.ConnectionLost:
		return errPanelOver
	}
	return &session.Error{Kind: session.Refused,
		Message: fmt.Sprintf("The device failed to write after %s and gives no reason; most often there is no space left.", bytesOf(u.at))}
}

// explain says why an upload ended early, and what is on the device now.
func (u *upload) explain(err error) error {
	if errors.Is(err, errPanelOver) {
		return err
	}
	left := fmt.Sprintf("The first %s are on the device as %s.", bytesOf(u.at), short(u.o.Path))
	if u.at == 0 {
		left = "An empty file " + short(u.o.Path) + " is on the device."
	}
	if u.o.Replace {
		left += " What was there before is gone."
	}
	next := left + " Send it again with replace, or remove it."
	var plain *session.Error
	switch {
	case errors.Is(err, errStopped):
		return &session.Error{Kind: session.Refused, Message: "You stopped the upload.", Next: next}
	case errors.As(err, &plain):
		return &session.Error{Kind: plain.Kind, Message: plain.Message, Next: next}
	}
	return err
}

// bytesOf writes a size for people.
func bytesOf(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
