// Package rfb serves a screen to viewers that speak RFB (RFC 6143 and the community's
// "rfbproto" for what came after it), and has the words of that protocol which the device's
// client in session/vnc needs as well.
//
// A viewer is served 3.3, 3.7 or 3.8 with security None, or with the old DES challenge where
// a password is set: that keeps other people of one's own machine out and nothing else, for
// the wire below is encrypted. It gets CopyRect, Tight (lossless: fill, palette, copy), ZRLE
// and Raw, cursor, sizes, QEMU's extended keys and the extended clipboard with text. It is told
// something when it asks and not before, so a slow viewer paces itself.
//
// Everything that a viewer sends is bounded, and what is not RFB ends the connection.
package rfb
