package rfb

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
)

// Hands is what a viewer does to the console. What a call returns ends the viewer's
// connection; what may not pass is dropped there and is no error.
type Hands interface {
	Press(k screen.Key) error
	Point(p screen.Pointer) error
	Paste(text string) error
}

// Config is how viewers are served.
type Config struct {
	Name     string // of the desktop, as viewers show it
	Password string // "": nothing is asked
	// Texts receives what the device copied; nil where the viewer may not have it.
	Texts <-chan string
}

// Viewer serves one viewer.
type Viewer struct {
	cfg   Config
	conn  net.Conn
	in    *bufio.Reader
	view  *screen.View
	hands Hands
	out   *writer
}

// Serve serves a viewer until it is gone, or ctx is done, or the screen is over; it closes
// conn. Hands are nil for who only looks.
func Serve(ctx context.Context, conn net.Conn, s *screen.Screen, hands Hands, cfg Config) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	view, err := s.Join()
	if err != nil {
		return err
	}
	defer view.Leave()
	v := &Viewer{cfg: cfg, conn: conn, in: bufio.NewReader(conn), view: view, hands: hands}
	if err := v.greet(); err != nil {
		return fmt.Errorf("greet a viewer: %w", err)
	}
	v.out = newWriter(conn, view, cfg.Texts)
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		cancel(v.out.run(ctx))
		conn.Close()
	}()
	err = v.listen()
	cancel(err)
	conn.Close()
	<-done
	return context.Cause(ctx)
}

// greet is RFC 6143 sections 7.1 to 7.3, bounded in time.
func (v *Viewer) greet() error {
	if err := v.conn.SetDeadline(time.Now().Add(greeting)); err != nil {
		return err
	}
	if err := v.agree(); err != nil {
		return err
	}
	if _, err := v.in.ReadByte(); err != nil { // ClientInit: nobody is sent away, whatever it says
		return err
	}
	if err := v.begin(); err != nil {
		return err
	}
	return v.conn.SetDeadline(time.Time{})
}

// newest is the version that is spoken with who can.
const newest = "RFB 003.008\n"

// agree settles version and security.
func (v *Viewer) agree() error {
	if _, err := io.WriteString(v.conn, newest); err != nil {
		return err
	}
	var version [12]byte
	if _, err := io.ReadFull(v.in, version[:]); err != nil {
		return err
	}
	minor := 0
	switch string(version[:]) {
	case newest:
		minor = 8
	case "RFB 003.007\n":
		minor = 7
	case "RFB 003.003\n", "RFB 003.005\n": // RFC 6143 section 7.1.1: 3.5 is 3.3
		minor = 3
	default:
		return ErrWire
	}
	return v.secure(minor)
}

// secure agrees on a security type and carries it out.
func (v *Viewer) secure(minor int) error {
	kind := byte(None)
	if v.cfg.Password != "" {
		kind = VNCAuth
	}
	if minor == 3 {
		if _, err := v.conn.Write([]byte{0, 0, 0, kind}); err != nil {
			return err
		}
	} else {
		if _, err := v.conn.Write([]byte{1, kind}); err != nil {
			return err
		}
		if chosen, err := v.in.ReadByte(); err != nil || chosen != kind {
			return orWire(err)
		}
	}
	if kind == None {
		if minor < 8 {
			return nil
		}
		_, err := v.conn.Write(make([]byte, 4))
		return err
	}
	return v.ask(minor)
}

// ask is the old challenge.
func (v *Viewer) ask(minor int) error {
	var challenge, answer [ChallengeSize]byte
	_, _ = rand.Read(challenge[:])
	if _, err := v.conn.Write(challenge[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(v.in, answer[:]); err != nil {
		return err
	}
	want := Answer(challenge, v.cfg.Password)
	if subtle.ConstantTimeCompare(answer[:], want[:]) == 1 {
		_, err := v.conn.Write(make([]byte, 4))
		return err
	}
	b := []byte{0, 0, 0, 1}
	if minor >= 8 {
		const words = "The password is wrong."
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(words))), words...)
	}
	_, err := v.conn.Write(b)
	return orError(err, session.Errorf(session.Denied, "A viewer had the wrong password."))
}

// begin is ServerInit. The size is that of now; what changes later is told to viewers that
// can take it.
func (v *Viewer) begin() error {
	size := v.view.Size()
	name := v.cfg.Name[:min(len(v.cfg.Name), MaxName)]
	b := binary.BigEndian.AppendUint16(nil, uint16(size.X))
	b = binary.BigEndian.AppendUint16(b, uint16(size.Y))
	b = append(b, Native().Bytes()...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	_, err := v.conn.Write(append(b, name...))
	return err
}

func orWire(err error) error { return orError(err, ErrWire) }

func orError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
