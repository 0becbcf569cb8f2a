package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// uploads keeps the one upload connection between puts.
type uploads struct {
	turn chan struct{} // held during a put

	mu    sync.Mutex
	conn  *tls.Conn // idle, or nil
	timer *time.Timer
}

func newUploads() uploads { return uploads{turn: make(chan struct{}, 1)} }

// take returns the idle connection, if there is one.
func (u *uploads) take() *tls.Conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	conn := u.conn
	u.conn = nil
	if u.timer != nil {
		u.timer.Stop()
	}
	return conn
}

// keep holds conn for the next put, for half the time that the broker would.
func (u *uploads) keep(conn *tls.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn = conn
	u.timer = time.AfterFunc(uploadIdle/2, u.close)
}

func (u *uploads) close() {
	if conn := u.take(); conn != nil {
		_ = conn.Close()
	}
}

// Put uploads one part: body must hold exactly p.Size bytes. Nil means that the
// broker holds these very bytes, now or already; an error that wraps ErrConflict
// that it holds others. Puts take turns on one connection.
func (c *Client) Put(ctx context.Context, p Put, body io.Reader) error {
	if err := p.check(); err != nil {
		return err
	}
	select {
	case c.uploads.turn <- struct{}{}:
		defer func() { <-c.uploads.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	conn := c.uploads.take()
	if conn == nil {
		var err error
		if conn, err = c.dial(ctx, c.anyNode(), Role{Role: RoleUpload}); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	answer, err := putOn(&framer{conn: conn}, p, body)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return fmt.Errorf("put %s of %s: %w", p.Part, p.Recording, err)
	}
	c.uploads.keep(conn)
	return readAck(answer)
}

// putOn sends one part and reads the answer. A broker that refuses before it has
// read all closes the connection; its answer may still be there to read.
func putOn(f *framer, p Put, body io.Reader) (frame, error) {
	sent := write(f, verbPut, 1, p)
	if sent == nil {
		sent = sendBody(f, body, p.Size)
	}
	if errors.Is(sent, errBody) {
		return frame{}, sent
	}
	answer, err := f.read(answerTime, verbAck)
	switch {
	case err == nil && sent == nil:
		return answer, nil
	case err == nil:
		if refused := readAck(answer); refused != nil {
			return frame{}, refused
		}
	}
	return frame{}, lost(errOr(sent, err))
}

var errBody = errors.New("the part cannot be read")

func sendBody(f *framer, body io.Reader, size int64) error {
	buf := make([]byte, copyBuffer)
	for size > 0 {
		n, err := body.Read(buf[:min(int64(len(buf)), size)])
		if n > 0 {
			if err := f.conn.SetWriteDeadline(time.Now().Add(bodyTime)); err != nil {
				return err
			}
			if _, err := f.conn.Write(buf[:n]); err != nil {
				return err
			}
			size -= int64(n)
		}
		if err != nil && size > 0 {
			return fmt.Errorf("%w: %w", errBody, noEOF(err))
		}
	}
	return nil
}
