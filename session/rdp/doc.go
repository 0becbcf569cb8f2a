// Package rdp is the agent's RDP client: it logs in to a Windows console, draws what the
// console sends on a screen, and carries keys, pointer and text to it. MS-RDPBCGR, with
// MS-RDPEGDI for pictures and MS-RDPECLIP for text.
//
// It asks only for what it can decode: pictures without loss, and pointers. Drives, printers,
// smart cards, sound, USB and every other channel are not opened, so nothing can come or go
// by them, and a console that sends on to another computer is left. Nothing is said to a
// console before its certificate is the one that is known, and every length is bounded
// before anything is read or kept: the first thing that cannot be ends the connection with
// ErrWire.
package rdp
