package device

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Step is how far a check of a device came.
type Step string

const (
	Reach       Step = "reach" // TCP
	Pin         Step = "host key"
	Speak       Step = "protocol" // whether it is what it should be, for those without a host key
	Certificate Step = "certificate"
	Enter       Step = "login"
)

// Checked is one device as a check found it.
type Checked struct {
	Step Step  // the first that failed, or the last that was tried
	Err  error // *session.Error in plain words; nil when all went well
	// Shown is what it did then, "shows its pinned host key".
	Shown string
}

// Try tries a device for whoever looks after the agent: TCP, then as its protocol does
// who the device is, then, if login says so, a login and an immediate logout. It hands nobody a
// connection: nothing opens a device without a ticket.
func (t Target) Try(ctx context.Context, login bool) Checked {
	if err := t.Check(); err != nil {
		return Checked{Step: Reach, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	conn, err := dialer().DialContext(ctx, "tcp", t.hostPort())
	if err != nil {
		return Checked{Step: Reach, Err: t.unreached(err)}
	}
	_ = conn.Close()
	return t.kind().try(t, ctx, login)
}

// unreached tells a closed port from silence and from an unknown name.
func (t Target) unreached(err error) error {
	e, _ := t.explain(err)
	where := t.where()
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		e.Message = fmt.Sprintf("The name of the device at %s is not known to DNS.", where)
		e.Next = "Check the endpoint's address in the agent's configuration, and the hospital's DNS."
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Message = fmt.Sprintf("The device at %s refuses connections: it is on, but nothing listens on that port.", where)
		e.Next = "Check the port in the agent's configuration, and whether the device's service runs."
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.Message = fmt.Sprintf("There is no route to the device at %s.", where)
		e.Next = "Check the device's network, and the agent's route to it."
	}
	return e
}
