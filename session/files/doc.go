// Package files serves sftp to an engineer from a device's own sftp server, so that
// every operation is understood, allowed or refused, and recorded before it happens.
// It speaks sftp on both sides (pkg/sftp) and knows session.Recorder, a gate, and which
// way files may move; it knows nothing of agents, grants or brokers.
//
// What is on record, in this order for each step:
//   - before the device is asked anything: what is asked (path, attributes, content);
//   - before the engineer is told anything: what the device answered (names,
//     attributes, content), because names and attributes are bytes too.
//
// A browser has no sftp: Panel speaks it on the browser's behalf to the same Serve, so
// that there is one way to the device and one record.
//
// A device's error texts are never passed on, only their codes.
package files
