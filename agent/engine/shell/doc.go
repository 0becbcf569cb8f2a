// Package shell is the line between engineers and devices that speak SSH: the SSH
// server that an engineer's own client ends at, the terminal and the files of an
// engineer's browser, and the SSH connection to the device. Sessions, gate, record and
// end are package engine's.
//
//	engineer's ssh ── client ──┐
//	                           ├── relays (session/terminal, session/files) ── device
//	browser ── socket ── seat ─┘
package shell
