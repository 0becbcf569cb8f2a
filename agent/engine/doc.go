// Package engine runs sessions at the agent, whatever protocol they speak: it opens a
// device for an admitted grant and for nothing else, records every byte before it
// passes, and ends what must end - at the deadline, on a kill, when the broker is gone
// too long, when a byte cannot be recorded.
//
// It knows the ledger's tickets and the recorder. It knows no documents, no tokens, no
// broker and no protocol: the link hands it plain streams, and a Line for each protocol
// (the rooms below this one) serves them with what stands here.
//
//	ticket ──▶ liveSession ──▶ Conn (one engineer's connection, one recording)
//	           gate, deadline   │
//	                            ├─ Side:   the engineer's {Tell, Farewell, Close}
//	                            └─ Device: the device's   {Gone, Release, Close}
//
// A Conn is connected, admitted (a key was proven), open (it has its device and its
// recording), stopped and finished, in this order, and may leave out the middle:
//
//	Connect ─▶ Admit ─▶ Open ─▶ Stop ─────────────▶ finished
//	                            gate's users let go,  all who work for it have ended,
//	                            device closed, words  the recording is sealed
//
// A keystroke, and its echo, pass an open gate and the tap by atomics: no lock of this
// room, no timer. What they wait for is the recorder's own lock and the device.
//
// A device's connection takes what carries something only while whoever sends it holds a
// pass (Gate.Held): a line that forgets the gate reaches nothing.
//
// Reaching a device and logging in pass the gate, too: a freeze cuts that off. And while
// a session is frozen, nothing begins to reach for one.
//
// Ending never waits: it shuts the gate (an atomic), closes the device's connection,
// and only then speaks, records and reports. Who ends is answered once all that was
// passing has given up, or half a second later.
package engine
