// Package engine runs sessions at the agent: it is the SSH server that an engineer's
// inner SSH ends at and the place where an engineer's browser sits, it opens a device for an admitted grant and for nothing else,
// records every byte before it passes, and ends what must end - at the deadline, on a
// kill, when the broker is gone too long, when a byte cannot be recorded.
//
// It knows the ledger's tickets, the devices, the recorder and the SSH protocol. It
// knows no documents, no tokens and no broker; the link hands it plain connections.
//
//	grant ──▶ liveSession ──▶ conn (one inner SSH connection, one recording)
//	          gate, deadline   │
//	                           ├─ engineer leg: gliderlabs/ssh server, key of the grant
//	                           └─ device leg:   ssh.Client, opened by the first channel
//
// A browser (package session/attach) has a seat: a conn of its own whose engineer leg is
// a channel without a network, so that the relay, the gate, the recorder, the limits and
// the words are those of ssh. Sockets come to the seat and go; it stays for a minute.
//
// Ending never waits: it shuts the gate (an atomic), closes the device's connection,
// and only then speaks, records and reports.
package engine
