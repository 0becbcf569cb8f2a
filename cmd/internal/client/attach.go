package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// Attach opens a stream to the agent of a service. Its bytes pass the broker, so what
// must be kept from that goes inside of TLS. The stream ends with ctx.
func (c *Client) Attach(ctx context.Context, to api.Attach) (net.Conn, error) {
	t, err := attachTo.Post(ctx, c, to)
	if err != nil {
		return nil, err
	}
	if t.URL != attachURL {
		return nil, odd(errors.New("another door than the one that is known"))
	}
	dialling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	header := http.Header{"Origin": {c.config.Broker}, "User-Agent": {c.config.Agent}, "Authorization": {"Bearer " + c.config.Token}}
	ws, resp, err := websocket.Dial(dialling, "ws"+strings.TrimPrefix(c.config.Broker, "http")+t.URL, &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: header, Subprotocols: []string{attach.Protocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, problem(resp)
		}
		return nil, unreachable(err)
	}
	if err := ws.Write(dialling, websocket.MessageText, []byte(t.Ticket)); err != nil {
		_ = ws.CloseNow()
		return nil, unreachable(err)
	}
	ws.SetReadLimit(maxMessage)
	return stream{websocket.NetConn(ctx, ws, websocket.MessageBinary)}, nil
}

// stream says why the broker ended it.
type stream struct{ net.Conn }

func (s stream) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	var closed websocket.CloseError
	if errors.As(err, &closed) && closed.Reason != "" {
		err = &session.Error{Kind: session.Unreachable, Message: wording.Line(closed.Reason, 200), Err: errors.Join(ErrFromBroker, err)}
	}
	return n, err
}
