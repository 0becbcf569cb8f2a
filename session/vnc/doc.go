// Package vnc is the agent's RFB client: it logs in to a console, draws what the console
// sends on a screen, and carries keys, pointer and text to it. RFC 6143, and rfbproto for
// what came after it.
//
// It asks only for what it can decode, and for pixels without loss. It is not polite to a
// server that breaks the protocol: every length is bounded before anything is read or kept,
// and the first thing that cannot be ends the connection with ErrWire.
//
// The password of a console goes to the console alone: to a server that asks for less than
// the configuration has, it is not sent.
package vnc
