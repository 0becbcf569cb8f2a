package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/session"
)

const host = "sallyport-agent"

// Client talks to an agent's console. Errors are *session.Error.
type Client struct {
	Socket string // path
}

// Status asks how the agent stands.
func (c Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/status", nil)
}

// Kill ends sessions, grants and requests and returns which. It returns when the device
// connections are closed and everything is on the agent's disk.
func (c Client) Kill(ctx context.Context, t Target) (Killed, error) {
	return call[Killed](ctx, c, http.MethodPost, "/kill", t)
}

// Freeze stops the engineers' input; when it returns without error nothing more goes to
// the devices until every cause is lifted, and nothing opens in what it names but for a
// session.
func (c Client) Freeze(ctx context.Context, t Target) (Frozen, error) {
	return call[Frozen](ctx, c, http.MethodPost, "/freeze", t)
}

// Thaw lifts the local freeze of what it names.
func (c Client) Thaw(ctx context.Context, t Target) (Frozen, error) {
	return call[Frozen](ctx, c, http.MethodPost, "/thaw", t)
}

func call[Out any](ctx context.Context, c Client, method, path string, in any) (out Out, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", c.Socket)
		},
	}
	defer transport.CloseIdleConnections()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return out, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, body)
	if err != nil {
		return out, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return out, &session.Error{Kind: session.Unreachable, Message: fmt.Sprintf("No agent answers on %s.", c.Socket),
			Next: "Check that the agent runs and that you are root or its user; --socket names another socket.", Err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		var p Problem
		if err = json.Unmarshal(b, &p); err == nil {
			return out, &session.Error{Kind: p.Kind, Message: p.Message, Next: p.Next}
		}
	}
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return out, &session.Error{Kind: session.Internal, Message: "The agent's answer makes no sense.", Next: "Check that agent and command have the same version.", Err: err}
	}
	return out, nil
}
