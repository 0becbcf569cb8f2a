// Package device knows how to reach the hospital's devices: addresses, pinned
// host keys and logins, none of which ever leave the hospital. It dials and logs in
// for a ledger.Ticket and for nothing else, and only to the services the ticket
// covers. What it connects to sends for whoever passes their session's gate, and only
// then. It knows no session, no recording and no broker.
package device
