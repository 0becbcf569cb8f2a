// Package files does what an engineer asks of a device's files, by the device's own sftp
// server, so that every operation is understood, allowed or refused, and recorded before
// it happens. It knows session.Recorder, a gate, and which way files may move; it knows
// nothing of agents, grants or brokers.
//
//	engineer's sftp ── Serve ──┐
//	                           ├── Operations ── the device's sftp subsystem
//	browser ────────── Panel ──┘   policy, order, record, gate
//
// What is on record, in this order for each step:
//   - before the device is asked anything: what is asked (path, attributes, content);
//   - before the engineer is told anything: what the device answered (names,
//     attributes, content), because names and attributes are bytes too.
//
// Paths and names pass as they are, byte by byte. A device's error texts are never
// passed on, only their codes.
package files
