package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Devices are the targets of one agent.
type Devices struct {
	targets map[name]Target
	log     *slog.Logger
}

type name struct{ asset, service string }

// New checks the targets and takes them. Errors are *session.Error, Invalid.
func New(targets []Target, log *slog.Logger) (*Devices, error) {
	d := &Devices{targets: make(map[name]Target, len(targets)), log: log}
	for _, t := range targets {
		if err := t.Check(); err != nil {
			return nil, err
		}
		n := name{t.Asset, t.Service}
		if _, twice := d.targets[n]; twice {
			return nil, session.Errorf(session.Invalid, "%s/%s is configured twice", t.Asset, t.Service)
		}
		d.targets[n] = t
	}
	return d, nil
}

// Protocol is what a service speaks; empty when there is no such service.
func (d *Devices) Protocol(asset, service string) session.Protocol {
	return d.targets[name{asset, service}].Protocol
}

// DialSSH connects to a service of the ticket's asset and logs in, within the target's
// timeout. It refuses the zero Ticket and services that the ticket does not cover.
// Errors are *session.Error whose message is fit for the engineer; Err has the rest.
func (d *Devices) DialSSH(ctx context.Context, t ledger.Ticket, service string) (*ssh.Client, error) {
	if !t.Valid() {
		return nil, session.Errorf(session.Denied, "no device is reached without an admitted grant")
	}
	asset := t.Grant().Grant().Asset
	if !t.Covers(asset, service) {
		return nil, session.Errorf(session.Denied, "The grant does not cover %.64s of %.64s.", service, asset).
			WithNext("Request that service.")
	}
	return d.dial(ctx, asset, service)
}

func (d *Devices) dial(ctx context.Context, asset, service string) (*ssh.Client, error) {
	target, ok := d.targets[name{asset, service}]
	if !ok {
		return nil, session.Errorf(session.Refused, "The agent has no device configured for %.64s of %.64s.", service, asset).
			WithNext("Ask the hospital to configure it at the agent.")
	}
	ctx, cancel := context.WithTimeout(ctx, target.timeout())
	defer cancel()
	client, err := target.connect(ctx)
	if err != nil {
		return nil, target.explain(err)
	}
	return client, nil
}

// errHostKey is a device that showed another key than the pinned one.
type errHostKey struct{ pinned, shown string }

func (e *errHostKey) Error() string {
	return fmt.Sprintf("host key is %s, pinned is %s", e.shown, e.pinned)
}

// errSecret is a secret that could not be read.
type errSecret struct{ err error }

func (e *errSecret) Error() string { return e.err.Error() }

// connect tries the families of host keys until the device shows the pinned one.
// No attempt gets as far as the login with a wrong key.
func (t Target) connect(ctx context.Context) (*ssh.Client, error) {
	pinned, err := parsePin(t.HostKey)
	if err != nil {
		return nil, err
	}
	auth, err := t.Login.methods(t.Legacy)
	if err != nil {
		return nil, err
	}
	var mismatch error
	for _, algorithms := range hostKeyFamilies(pinned.kind, t.Legacy) {
		client, err := t.attempt(ctx, pinned, algorithms, auth())
		var other *errHostKey
		switch {
		case err == nil:
			return client, nil
		case errors.As(err, &other):
			mismatch = errors.Join(mismatch, other)
		case strings.Contains(err.Error(), "no common algorithm for host key"):
		default:
			return nil, err
		}
	}
	if mismatch == nil {
		mismatch = &errHostKey{pinned: pinned.fingerprint, shown: "of a kind that this target does not allow"}
	}
	return nil, mismatch
}

func (t Target) attempt(ctx context.Context, pinned pin, algorithms []string, auth []ssh.AuthMethod) (*ssh.Client, error) {
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 4}}
	conn, err := dialer.DialContext(ctx, "tcp", t.hostPort(strconv.Itoa(t.Port)))
	if err != nil {
		return nil, err
	}
	conn = link.Whole(conn)
	// A cancelled dial ends the handshake too.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	config := &ssh.ClientConfig{
		Config: transport(t.Legacy), User: t.Login.User, Auth: auth,
		HostKeyAlgorithms: algorithms, ClientVersion: "SSH-2.0-Sallyport",
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if shown := ssh.FingerprintSHA256(key); shown != pinned.fingerprint {
				return &errHostKey{pinned: pinned.fingerprint, shown: shown}
			}
			return nil
		},
	}
	c, channels, requests, err := ssh.NewClientConn(conn, t.Asset, config)
	if !stop() && err == nil {
		_ = c.Close()
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return nil, err
	}
	// The client refuses every channel and global request that the device opens.
	return ssh.NewClient(c, channels, requests), nil
}

// explain makes an error of a dial readable: what happened, and what a hospital's
// administrator should look at. Addresses, logins and secrets are not in the message.
func (t Target) explain(err error) error {
	where := fmt.Sprintf("%s of %s", t.Service, t.Asset)
	var (
		other  *errHostKey
		secret *errSecret
		opErr  *net.OpError
	)
	out := &session.Error{Kind: session.Unreachable, Err: err}
	switch {
	case errors.As(err, &other):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The device at %s shows host key %s, but %s is pinned.", where, other.shown, other.pinned)
		out.Next = "Ask the hospital whether the device was replaced; the agent's host_key must name its key."
	case errors.As(err, &secret):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The agent cannot read its login for %s.", where)
		out.Next = "Ask the hospital to check the secret files of this service; the agent's log has the details."
	case errors.Is(err, errPrompt), strings.Contains(err.Error(), "unable to authenticate"), strings.Contains(err.Error(), "authentication failures"):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The device did not accept the agent's login for %s.", where)
		out.Next = "Ask the hospital to check user and password or key of this service in the agent's configuration."
	case strings.Contains(err.Error(), "no common algorithm"):
		out.Kind = session.Refused
		out.Message = fmt.Sprintf("The device at %s speaks only algorithms that the agent does not allow.", where)
		out.Next = "If it is too old for better, the hospital can set legacy: true for this service."
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &opErr) && opErr.Timeout():
		out.Message = fmt.Sprintf("The device at %s did not answer in time.", where)
		out.Next = "Ask the hospital whether it is switched on and reachable from the agent."
	case errors.As(err, &opErr):
		out.Message = fmt.Sprintf("The device at %s cannot be reached from the agent.", where)
		out.Next = "Ask the hospital whether it is switched on and its address and port are right."
	default:
		out.Message = fmt.Sprintf("The device at %s did not complete the SSH handshake.", where)
		out.Next = "Ask the hospital whether its port really speaks SSH."
	}
	return out
}
