package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
)

// Devices are the targets of one agent.
type Devices struct {
	targets atomic.Pointer[map[name]Target] // replaced as a whole
	log     *slog.Logger
}

type name struct{ asset, service string }

// New checks the targets and takes them. Errors are *session.Error, Invalid.
func New(targets []Target, log *slog.Logger) (*Devices, error) {
	d := &Devices{log: log}
	take, err := d.Prepare(targets)
	if err != nil {
		return nil, err
	}
	take()
	return d, nil
}

// Prepare checks targets, and take puts them in place of those that are dialled from then
// on. What is connected stays so.
func (d *Devices) Prepare(targets []Target) (take func(), err error) {
	all := make(map[name]Target, len(targets))
	for _, t := range targets {
		if err := t.Check(); err != nil {
			return nil, err
		}
		n := name{t.Asset, t.Service}
		if _, twice := all[n]; twice {
			return nil, session.Errorf(session.Invalid, "%s/%s is configured twice", t.Asset, t.Service)
		}
		all[n] = t
	}
	return func() { d.targets.Store(&all) }, nil
}

// at is the target of a service; zero where there is none.
func (d *Devices) at(asset, service string) Target { return (*d.targets.Load())[name{asset, service}] }

// Protocol is what a service speaks; empty when there is no such service.
func (d *Devices) Protocol(asset, service string) session.Protocol {
	return d.at(asset, service).Protocol
}

// admitted is the target of a ticket that speaks a protocol. It refuses the zero Ticket
// and services that the ticket does not cover.
func (d *Devices) admitted(t ledger.Ticket, service string, p session.Protocol) (Target, error) {
	if !t.Valid() {
		return Target{}, session.Errorf(session.Denied, "no device is reached without an admitted grant")
	}
	asset := t.Grant().Grant().Asset
	if !t.Covers(asset, service) {
		return Target{}, session.Errorf(session.Denied, "The grant does not cover %.64s of %.64s.", service, asset).
			WithNext("Request that service.")
	}
	return d.target(asset, service, p)
}

func (d *Devices) target(asset, service string, p session.Protocol) (Target, error) {
	target := d.at(asset, service)
	if target.Protocol != p {
		return Target{}, session.Errorf(session.Refused, "The agent has no device configured for %.64s of %.64s.", service, asset).
			WithNext("Ask the hospital to configure it at the agent.")
	}
	return target, nil
}

// dialer keeps a device's connection alive, and notices within a minute and a quarter
// that the device is gone.
func dialer() *net.Dialer {
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveEvery, Interval: keepAliveEvery, Count: keepAliveCount}}
}

// explain makes an error of the network readable: what happened, and what a hospital's
// administrator should look at; false when it is the protocol's to explain. Addresses,
// logins and secrets are not in the message.
func (t Target) explain(err error) (*session.Error, bool) {
	where := t.where()
	var opErr *net.OpError
	out := &session.Error{Kind: session.Unreachable, Err: err}
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &opErr) && opErr.Timeout():
		out.Message = fmt.Sprintf("The device at %s did not answer in time.", where)
		out.Next = "Ask the hospital whether it is switched on and reachable from the agent."
	case errors.As(err, &opErr):
		out.Message = fmt.Sprintf("The device at %s cannot be reached from the agent.", where)
		out.Next = "Ask the hospital whether it is switched on and its address and port are right."
	default:
		return out, false
	}
	return out, true
}

// where names a target to people.
func (t Target) where() string { return fmt.Sprintf("%s of %s", t.Service, t.Asset) }
