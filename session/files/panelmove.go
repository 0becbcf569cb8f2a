package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/pkg/sftp"

	"github.com/sallyport/sallyport/session"
)

// get moves a file from the device to the browser. It reads no further than there is
// credit, but for one chunk that tells whether the file has ended.
func (p *Panel) get(c *sftp.Client, o *op) (answer, error) {
	info, err := c.Stat(o.Path)
	if err == nil && p.cfg.Out {
		err = plainFile(info, o.Path)
	}
	if err != nil {
		return answer{}, p.explain(c, o, err)
	}
	f, err := c.Open(o.Path)
	if err != nil {
		return answer{}, p.explain(c, o, err)
	}
	size := max(0, min(info.Size(), maxSize))
	p.answer(answer{ID: o.ID, OK: true, Size: &size})
	d := &download{p: p, o: o, f: f, size: size, sum: sha256.New()}
	err = d.move()
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return answer{}, d.explain(err)
	}
	return answer{Done: true, Size: &d.at, SHA256: hex.EncodeToString(d.sum.Sum(nil))}, nil
}

// plainFile refuses what is no file: a pipe or a device node would hold up all others.
func plainFile(info os.FileInfo, name string) error {
	switch {
	case info.IsDir():
		return &session.Error{Kind: session.Refused, Message: short(name) + " is a folder.", Next: "Choose a file in it."}
	case !info.Mode().IsRegular():
		return &session.Error{Kind: session.Refused, Message: short(name) + " is no plain file.", Next: "Choose another one."}
	}
	return nil
}

// download is a file on its way to the browser.
type download struct {
	p    *Panel
	o    *op
	f    *sftp.File
	size int64 // as the device said before
	at   int64
	sum  hash.Hash
}

func (d *download) move() error {
	buf := make([]byte, creditWindow)
	for {
		n, paid := int64(chunkSize), false
		if d.at < d.size {
			var err error
			if n, err = d.o.spend(min(creditWindow, d.size-d.at), d.p.gone); err != nil {
				return err
			}
			paid = true
		} else if d.o.isCancelled() {
			return errStopped
		}
		got, err := d.f.ReadAt(buf[:n], d.at)
		if sent := d.send(buf[:got], paid); sent != nil {
			return sent
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// send passes content on, piece by piece, against credit.
func (d *download) send(data []byte, paid bool) error {
	for len(data) > 0 {
		n := int64(min(len(data), chunkSize))
		if !paid {
			var err error
			if n, err = d.o.spend(n, d.p.gone); err != nil {
				return err
			}
		}
		if d.o.isCancelled() {
			return errStopped
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

func (d *download) explain(err error) error {
	switch {
	case errors.Is(err, errStopped):
		return &session.Error{Kind: session.Refused, Message: fmt.Sprintf("You stopped the download after %s.", bytesOf(d.at)), Next: "Nothing was changed on the device."}
	case isPlain(err):
		return err
	}
	return &session.Error{Kind: session.Unreachable, Err: err,
		Message: fmt.Sprintf("The device failed to read %s after %s.", short(d.o.Path), bytesOf(d.at)),
		Next:    "What you have is not complete. Try again, or look whether the file is still there."}
}

// put moves a file from the browser to the device. Serve writes in place, so what is
// stopped half-way stays there; the answer says so.
func (p *Panel) put(c *sftp.Client, o *op) (answer, error) {
	f, err := p.create(c, o)
	if err != nil {
		return answer{}, err
	}
	p.answer(answer{ID: o.ID, OK: true})
	u := &upload{p: p, o: o, f: f, sum: sha256.New()}
	err = u.grant(creditWindow)
	if err == nil {
		err = u.move()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return answer{}, u.explain(err)
	}
	return answer{Done: true, Size: &u.at, SHA256: hex.EncodeToString(u.sum.Sum(nil))}, nil
}

// create opens the file to be written. Without replace there must be none, which the
// device makes sure of itself; looking first is for the words.
func (p *Panel) create(c *sftp.Client, o *op) (*sftp.File, error) {
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.Replace {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	if p.cfg.In {
		info, err := c.Stat(o.Path)
		if err == nil {
			err = plainFile(info, o.Path)
			if err == nil && !o.Replace {
				err = taken(o.Path)
			}
		} else if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return nil, p.explain(c, o, err)
		}
	}
	f, err := c.OpenFile(o.Path, how)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &session.Error{Kind: session.Refused, Message: "There is no such folder on the device.", Next: "Make the folder first, or choose another one."}
	}
	if err != nil {
		return nil, p.explain(c, o, err)
	}
	return f, nil
}

// upload is a file on its way to the device.
type upload struct {
	p       *Panel
	o       *op
	f       *sftp.File
	at      int64 // bytes that the device took
	granted int64
	sum     hash.Hash
}

// grant lets the browser send n more bytes, of what it announced.
func (u *upload) grant(n int64) error {
	if n = min(n, u.o.Size-u.granted); n <= 0 {
		return nil
	}
	u.granted += n
	u.o.allow(n)
	return u.p.tell(func(to Out) error { return to.Credit(u.o.ID, uint32(n)) })
}

func (u *upload) move() error {
	for {
		data, err := u.o.next(u.p.gone)
		if errors.Is(err, io.EOF) {
			if u.at < u.o.Size {
				return session.Errorf(session.Invalid, "The browser ended the upload before the end of the file.").WithNext("Choose the file again.")
			}
			return nil
		}
		if err != nil {
			return err
		}
		n, err := u.f.WriteAt(data, u.at)
		u.sum.Write(data[:n])
		u.at += int64(n)
		if err != nil {
			return err
		}
		if err := u.grant(int64(len(data))); err != nil {
			return err
		}
	}
}

// explain says why an upload ended early, and what is on the device now.
func (u *upload) explain(err error) error {
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
	case errors.Is(err, errPanelOver):
		return err
	case errors.Is(err, errStopped):
		return &session.Error{Kind: session.Refused, Message: "You stopped the upload.", Next: next}
	case errors.As(err, &plain):
		return &session.Error{Kind: plain.Kind, Message: plain.Message, Next: next}
	case isLost(err):
		return errPanelOver
	}
	return &session.Error{Kind: session.Refused, Err: err, Next: next,
		Message: fmt.Sprintf("The device failed to write after %s and gives no reason; most often there is no space left.", bytesOf(u.at))}
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
