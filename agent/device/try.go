package device

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// Step is how far a check of a device came.
type Step string

const (
	Reach Step = "reach" // TCP
	Pin   Step = "host key"
	Enter Step = "login"
)

// Checked is one device as a check found it.
type Checked struct {
	Step Step  // the first that failed, or the last that was tried
	Err  error // *session.Error in plain words; nil when all went well
}

// errSeen ends a handshake once the right host key has been shown.
var errSeen = errors.New("seen the host key")

// Try tries a device for whoever looks after the agent: TCP, then the pinned host
// key, then, if login says so, a login and an immediate logout. It hands nobody a
// connection: nothing opens a device without a ticket.
func (t Target) Try(ctx context.Context, login bool) Checked {
	if err := t.Check(); err != nil {
		return Checked{Reach, err}
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", t.hostPort(strconv.Itoa(t.Port)))
	if err != nil {
		return Checked{Reach, t.unreached(err)}
	}
	_ = conn.Close()
	if !login {
		return Checked{Pin, t.showsPin(ctx)}
	}
	client, err := t.connect(ctx)
	if err == nil {
		_ = client.Close()
		_ = client.Wait()
		return Checked{Step: Enter}
	}
	var other *errHostKey
	var secret *errSecret
	step := Pin
	if !errors.As(err, &other) && (errors.As(err, &secret) || refusedLogin(err)) {
		step = Enter
	}
	if step == Pin && !errors.As(err, &other) && t.showsPin(ctx) == nil {
		step = Enter // the key was right, so it was the login that went wrong
	}
	return Checked{step, t.explain(err)}
}

// unreached tells a closed port from silence and from an unknown name.
func (t Target) unreached(err error) error {
	out := t.explain(err)
	var e *session.Error
	if !errors.As(out, &e) {
		return out
	}
	where := fmt.Sprintf("%s of %s", t.Service, t.Asset)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		e.Message = fmt.Sprintf("The name of the device at %s is not known to DNS.", where)
		e.Next = "Check the endpoint's address in the agent's configuration, and the hospital's DNS."
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Message = fmt.Sprintf("The device at %s refuses connections: it is on, but nothing listens on that port.", where)
		e.Next = "Check the port in the agent's configuration, and whether the device's SSH service runs."
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.Message = fmt.Sprintf("There is no route to the device at %s.", where)
		e.Next = "Check the device's network, and the agent's route to it."
	}
	return e
}

// showsPin shakes hands until the host key shows, and goes no further.
func (t Target) showsPin(ctx context.Context) error {
	pinned, err := parsePin(t.HostKey)
	if err != nil {
		return err
	}
	var failed error
	for _, algorithms := range hostKeyFamilies(pinned.kind, t.Legacy) {
		err := t.glance(ctx, pinned, algorithms)
		if errors.Is(err, errSeen) {
			return nil
		}
		var other *errHostKey
		if failed == nil || errors.As(err, &other) {
			failed = err
		}
	}
	return t.explain(failed)
}

func (t Target) glance(ctx context.Context, pinned pin, algorithms []string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", t.hostPort(strconv.Itoa(t.Port)))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_, _, _, err = ssh.NewClientConn(conn, t.Asset, &ssh.ClientConfig{
		Config: transport(t.Legacy), User: t.Login.User, HostKeyAlgorithms: algorithms, ClientVersion: "SSH-2.0-Sallyport",
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if shown := ssh.FingerprintSHA256(key); shown != pinned.fingerprint {
				return &errHostKey{pinned: pinned.fingerprint, shown: shown}
			}
			return errSeen
		},
	})
	if err != nil && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return err
}

func refusedLogin(err error) bool {
	return errors.Is(err, errPrompt) || strings.Contains(err.Error(), "unable to authenticate") ||
		strings.Contains(err.Error(), "authentication failures")
}
