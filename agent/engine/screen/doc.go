// Package screen is the engine's line for consoles: one connection to the device draws on
// one screen, and any number of viewers look at it, each at its own pace.
//
//	device ─▶ client (session/vnc, ...) ─▶ session/screen ─▶ recording, then viewers (RFB)
//	viewer ─▶ hands: may it? ─▶ the gate ─▶ recording ─▶ client ─▶ device
//
// A console opens with its first engineer's viewer and stays while one is there, and for
// a minute after the last. What viewers do passes the gate of their session at once or not
// at all: keys that were pressed into a freeze are dropped and counted, and not typed when
// it is lifted.
package screen
