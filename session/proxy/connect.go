package proxy

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/sallyport/sallyport/session"
)

// connect asks for a tunnel to an address and reads the answer.
func (d *Dialer) connect(conn net.Conn, at, address string) (net.Conn, error) {
	ask := fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n", address, address)
	if d.password != nil {
		word, err := d.password()
		if err != nil {
			return nil, &session.Error{Kind: session.Invalid, Message: "The password for the proxy cannot be read", Next: "Look at proxy.password in the configuration.", Err: err}
		}
		ask += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(d.user+":"+word)) + "\r\n"
	}
	if _, err := io.WriteString(conn, ask+"\r\n"); err != nil {
		return nil, silent(at, err)
	}
	head := bufio.NewReader(&io.LimitedReader{R: conn, N: maxAnswer})
	first, err := head.Peek(1)
	if err != nil {
		return nil, silent(at, err)
	}
	resp, err := http.ReadResponse(head, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, noProxy(at, first[0], err)
	}
	if err := d.judge(resp, at, address); err != nil {
		return nil, err
	}
	early := make([]byte, head.Buffered())
	if _, err := io.ReadFull(head, early); err != nil {
		return nil, err
	}
	return &tunnel{Conn: conn, early: early}, nil
}

// tunnel is a connection of which some bytes came with the proxy's answer.
type tunnel struct {
	net.Conn
	early []byte
}

func (t *tunnel) Read(p []byte) (int, error) {
	if len(t.early) > 0 {
		n := copy(p, t.early)
		t.early = t.early[n:]
		return n, nil
	}
	return t.Conn.Read(p)
}
