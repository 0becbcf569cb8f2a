// Package terminal relays a shell or a command on a device to an engineer. Every byte is
// recorded before it is forwarded, whatever goes to the device passes a gate, and
// whatever is not a shell, a command or a granted transfer is refused and never
// reaches the device.
//
//	engineer                      Relay                        device
//	input, end      ──▶ gate ──▶ record ──▶ write  ──▶          stdin
//	resize, signal  ──▶ gate ──▶ record ──▶ request ─▶
//	stdout, stderr  ◀──────────── write ◀── record ◀──          stdout, stderr
//	exit status     ◀── after the last byte of output ◀──       exit status
//
// A Relay takes what an engineer does as it is meant, and shows what comes of it to an
// Engineer. A Channel is the Engineer who came by ssh: it reads the requests of an SSH
// session channel, and hands over to a file transfer where that is asked for. The
// device's side is a raw channel of golang.org/x/crypto/ssh. The package knows
// session.Recorder and Gate; it knows nothing of agents, grants or brokers.
package terminal
