package link

import (
	"context"
	"io"
	"net"
)

// Countersigner may be implemented by a BrokerHandler that countersigns heads.
type Countersigner interface {
	Countersign(ctx context.Context, site, agent, recording string, head []byte) (receipt []byte, err error)
}

// AgentHandler is what the agent does with what the broker says. Implemented by package agent.
type AgentHandler interface {
	Deliver(ctx context.Context, d Deliver) Verdict
	End(ctx context.Context, e End) Verdict
	// Stream serves one dialled-back stream and closes conn when done.
	Stream(ctx context.Context, o Open, conn net.Conn)
}

// BrokerHandler is what the broker does with what an agent says. The site and
// agent names come from the verified certificate, never from the message.
// Implemented by package broker.
type BrokerHandler interface {
	Hello(ctx context.Context, h Hello) error
	Report(ctx context.Context, site, agent string, r SessionReport) error
	Put(ctx context.Context, site, agent string, p Put, body io.Reader) error
	// Relay returns a connection to the host of a pinned issuer of that site.
	Relay(ctx context.Context, site, agent, issuer string) (net.Conn, error)
}
