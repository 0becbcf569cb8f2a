package rdp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
)

// via is the connection of now. Close may come at any time, also between two of them.
type via struct {
	quit chan struct{} // closed by Close

	mu   sync.Mutex
	conn net.Conn
	over bool
	lost int // how many there were before it
}

func (v *via) now() net.Conn {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.conn
}

func (v *via) set(conn net.Conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn = conn
	if v.over {
		conn.Close()
	}
}

func (v *via) close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.over {
		v.over = true
		close(v.quit)
	}
	return v.conn.Close()
}

func (c *Client) use(conn net.Conn) {
	c.via.set(conn)
	c.in = bufio.NewReaderSize(conn, 64<<10)
}

// takeUp takes the session up on another connection. Keys that were held are up there, and the
// console draws everything anew.
func (c *Client) takeUp() error {
	c.forget()
	ctx, cancel := context.WithTimeout(context.Background(), againTime)
	defer cancel()
	go func() {
		select {
		case <-c.via.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	gone := session.Errorf(session.Unreachable, "The connection to the console broke, and cannot be taken up again.").
		WithNext("Connect again; if it stays so, look at the console and its network.")
	for pause := firstPause; c.via.lost < maxAgain; pause *= 2 {
		c.via.lost++
		conn, err := c.cfg.Again(ctx)
		if err == nil {
			if err = c.enter(ctx, conn); err == nil {
				return nil
			}
			conn.Close()
			c.forget()
		}
		if said := (*session.Error)(nil); errors.Is(err, ErrWire) || errors.As(err, &said) && said.Kind != session.Unreachable {
			return err
		}
		select {
		case <-ctx.Done():
			return gone
		case <-time.After(pause):
		}
	}
	return gone
}

// forget is a connection that is gone: nothing of it counts for the next.
func (c *Client) forget() {
	c.via.now().Close()
	c.starts, c.fault, c.joined = 0, 0, joined{}
	c.drawn.shapes, c.drawn.part, c.drawn.open = [maxShapes]*screen.Cursor{}, nil, false
	c.clip.part, c.clip.left, c.clip.skips, c.clip.asked = nil, 0, false, false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hands.ready = false
	c.clip.ready, c.clip.long = false, false
}
