// Package shell is the line between engineers and devices that speak SSH: the SSH
// server that an engineer's own client ends at, the terminal and the files of an
// engineer's browser, and the SSH connection to the device. Sessions, gate, record and
// end are package engine's.
//
//	engineer's ssh ── sshClient ────────┬─ terminal.Channel ─┐
//	                                    └─ files.Serve ──────┤
//	browser ── socket ─┬─ browserTerminal ── shell ──────────┼─ device
//	                   └─ fileOperations ── files.Panel ─────┘
//
// A browserTerminal outlives its sockets: it is opening, then there (a socket shows it)
// or deserted (none does, for a minute at most), and over when its connection is.
//
// A keystroke of a browser goes from the socket's reader into the shell's queue, and
// from there by the shell's own goroutine through gate and recorder to the device. It
// waits for no picture of the terminal, and makes no timer while the queue has room.
package shell
