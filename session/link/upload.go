package link

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
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
	to    *node     // where conn leads
	timer *time.Timer
}

func newUploads() uploads { return uploads{turn: make(chan struct{}, 1)} }

// take returns the idle connection to a node, if there is one. One to another is closed.
func (u *uploads) take(to *node) *tls.Conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	conn := u.conn
	u.conn = nil
	if u.timer != nil {
		u.timer.Stop()
	}
	if conn != nil && u.to != to {
		_ = conn.Close()
		return nil
	}
	return conn
}

// keep holds conn for the next put, for half the time that the broker would.
func (u *uploads) keep(conn *tls.Conn, to *node) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn, u.to = conn, to
	u.timer = time.AfterFunc(uploadIdle/2, u.close)
}

func (u *uploads) close() { u.take(nil) }

// Put uploads one part: body must hold exactly p.Size bytes. Nil means that the
// broker holds these very bytes, now or already; an error that wraps ErrConflict
// that it holds others. Puts take turns on one connection.
func (c *Client) Put(ctx context.Context, p Put, body io.Reader) error {
	_, err := c.put(ctx, &c.uploads, p, body)
	return err
}

// PutHead has a signed head countersigned and returns the broker's receipt. Heads
// have a connection of their own, so that no large part delays them.
func (c *Client) PutHead(ctx context.Context, recording string, head []byte) ([]byte, error) {
	sum := sha256.Sum256(head)
	p := Put{Recording: recording, Part: HeadPart, Size: int64(len(head)), SHA256: hex.EncodeToString(sum[:])}
	a, err := c.put(ctx, &c.heads, p, bytes.NewReader(head))
	return a.Receipt, err
}

func (c *Client) put(ctx context.Context, u *uploads, p Put, body io.Reader) (Ack, error) {
	if err := p.check(); err != nil {
		return Ack{}, err
	}
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return Ack{}, ctx.Err()
	}
	to := c.anyNode()
	conn := u.take(to)
	if conn == nil {
		var err error
		if conn, err = c.dial(ctx, to, Role{Role: RoleUpload}); err != nil {
			return Ack{}, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	answer, err := putOn(&framer{conn: conn}, p, body)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return Ack{}, fmt.Errorf("put %s of %s: %w", p.Part, p.Recording, err)
	}
	u.keep(conn, to)
	if err := readAck(answer); err != nil {
		return Ack{}, err
	}
	return decode[Ack](answer.payload)
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
