// Package attached works in the browser, end to end: the real binaries, people who sign
// in and prove what they ask as the pages do, a WebSocket through the broker, and the
// frames of session/attach at its end. It holds tests only.
package attached
