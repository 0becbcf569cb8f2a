// Package terminal relays one SSH session channel between an engineer and a
// device: a shell, a command, or the hand-over to a file transfer. Every byte is
// recorded before it is forwarded, whatever goes to the device passes a gate, and
// whatever is not a shell, a command or a granted transfer is refused and never
// reaches the device. It works on raw channels of golang.org/x/crypto/ssh and
// knows session.Recorder and Gate; it knows nothing of agents, grants or brokers.
//
//	engineer                      Relay                        device
//	stdin, EOF      ──▶ gate ──▶ record ──▶ write  ──▶          stdin
//	resize, signal  ──▶ gate ──▶ record ──▶ request ─▶
//	stdout, stderr  ◀──────────── write ◀── record ◀──          stdout, stderr
//	exit status     ◀── after the last byte of output ◀──       exit status
package terminal
