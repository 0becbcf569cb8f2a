package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// stream is a connection that has left its frames behind. Whoever holds it closes
// it; done tells the one who serves the connection that it may go.
type stream struct {
	*tls.Conn
	once sync.Once
	done chan struct{}
}

var _ interface {
	net.Conn
	CloseWrite() error
} = (*stream)(nil)

func newStream(c *tls.Conn) *stream { return &stream{Conn: c, done: make(chan struct{})} }

// Close ends both directions.
func (s *stream) Close() error {
	err := net.ErrClosed
	s.once.Do(func() {
		err = s.Conn.Close()
		close(s.done)
	})
	return err
}

// wait returns when the stream's holder has closed it, or closes it with ctx.
func (s *stream) wait(ctx context.Context) {
	select {
	case <-s.done:
	case <-ctx.Done():
		_ = s.Close()
	}
}

// Pipe copies both ways between a and b until both directions have ended, and
// closes both. An end of file in one direction half-closes the other side (when
// it has CloseWrite) and lets the other direction go on; an error or ctx ends
// both. The first error that is not an end is returned.
func Pipe(ctx context.Context, a, b io.ReadWriteCloser) error {
	var once sync.Once
	var first error
	shut := func(err error) {
		once.Do(func() {
			first = err
			_ = a.Close()
			_ = b.Close()
		})
	}
	stop := context.AfterFunc(ctx, func() { shut(ctx.Err()) })
	var both sync.WaitGroup
	one := func(dst, src io.ReadWriteCloser) {
		switch err := copyHalf(dst, src); {
		case errors.Is(err, errNoHalf):
			shut(nil)
		case err != nil:
			shut(err)
		}
	}
	both.Go(func() { one(a, b) })
	both.Go(func() { one(b, a) })
	both.Wait()
	stop()
	shut(nil)
	return first
}

var errNoHalf = errors.New("the connection cannot close one direction only")

// copyHalf copies src to dst to the end of file and passes that on.
func copyHalf(dst io.Writer, src io.Reader) error {
	// The bare interfaces keep io.CopyBuffer from replacing our buffer.
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, copyBuffer))
	if err != nil {
		return err
	}
	half, ok := dst.(interface{ CloseWrite() error })
	if !ok {
		return errNoHalf
	}
	if err := half.CloseWrite(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// tune sets what interactive streams on long lines need, on the connection that may be
// wrapped in others. Connections that are not TCP are left alone.
func tune(c net.Conn) {
	for w, ok := c.(interface{ NetConn() net.Conn }); ok; w, ok = c.(interface{ NetConn() net.Conn }) {
		c = w.NetConn()
	}
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	_ = t.SetNoDelay(true)
	_ = t.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	})
	tuneSystem(t)
}
