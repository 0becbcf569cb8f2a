package session

import (
	"encoding/binary"
	"time"
)

// EventKind says what an event of a recording is. The letter is what stands in
// the file; recordings/FORMAT.md is the reference.
type EventKind byte

const (
	ChannelOpened EventKind = 'c' // Data: JSON ChannelOpen
	CommandLine   EventKind = 'l' // Data: the next bytes of a command as it was asked for; see ChannelOpen
	ChannelClosed EventKind = 'q' // Data: empty
	Output        EventKind = 'o' // device to engineer, standard output
	ErrorOutput   EventKind = 'e' // device to engineer, standard error
	Input         EventKind = 'i' // engineer to device; sealed
	InputEnd      EventKind = 'z' // engineer's end of file; Data: empty
	Resize        EventKind = 'r' // Data: JSON WindowSize
	Signal        EventKind = 's' // Data: signal name
	Exit          EventKind = 'x' // Data: JSON ExitStatus
	FileOpened    EventKind = 'f' // Data: JSON FileOpen; Stream is the file's own
	Download      EventKind = 'd' // Data: 8 bytes offset, big endian, then content
	Upload        EventKind = 'u' // the same; sealed
	FileClosed    EventKind = 'g' // Data: JSON FileSummary
	FileAction    EventKind = 'a' // Data: JSON FileChange: remove, rename, list ...
	NotAllowed    EventKind = 'n' // Data: JSON Refusal
	Marker        EventKind = 'm' // Data: JSON Note: warnings, freezes, words from us to the engineer
	ScreenSize    EventKind = 'w' // a console has this size, and is black; recordings/frames has the data of these three
	ScreenTiles   EventKind = 't' // parts of it that changed, of one moment
	ScreenCursor  EventKind = 'k' // the picture of the pointer
)

// Sealed reports whether the event's data may only be read with the hospital's
// input identity.
func (k EventKind) Sealed() bool { return k == Input || k == Upload }

// Event is one thing that happened, in the order in which it happened.
type Event struct {
	At     int64 // microseconds since the recording began; set by the recorder
	Kind   EventKind
	Stream uint32 // channel or file number within the recording, from 1; 0 is the connection itself
	Data   []byte
}

// SnapshotKind says what a snapshot is of.
type SnapshotKind byte

// The kinds of snapshots.
const (
	TerminalSnapshot SnapshotKind = 't' // Data: a Screen
	ConsoleSnapshot  SnapshotKind = 's' // Data: a packed screen of recordings/frames
)

// Snapshot is what a stream looked like at a moment: who replays a recording can begin
// there. It is drawn from what was recorded, and is no evidence.
type Snapshot struct {
	Stream uint32
	Kind   SnapshotKind
	Data   []byte
}

// Screen is what a terminal showed: the bytes that make one of this size, just reset,
// show it again.
type Screen struct {
	Cols, Rows uint32
	Draw       []byte
}

// LargestSide is how many columns or rows of a terminal are drawn: players survive that.
const LargestSide = 1000

// Bytes is the screen as the data of a snapshot.
func (s Screen) Bytes() []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(s.Cols))
	return append(binary.BigEndian.AppendUint16(b, uint16(s.Rows)), s.Draw...)
}

// ParseScreen reads the data of a terminal's snapshot.
func ParseScreen(b []byte) (Screen, error) {
	if len(b) < 4 {
		return Screen{}, Errorf(Invalid, "a terminal's snapshot of %d bytes is none", len(b))
	}
	s := Screen{Cols: uint32(binary.BigEndian.Uint16(b)), Rows: uint32(binary.BigEndian.Uint16(b[2:])), Draw: b[4:]}
	if s.Cols < 1 || s.Cols > LargestSide || s.Rows < 1 || s.Rows > LargestSide {
		return Screen{}, Errorf(Invalid, "a terminal of %d x %d cannot be", s.Cols, s.Rows)
	}
	return s, nil
}

// Recorder takes every byte before it is forwarded. When Record returns an error
// the byte is not on record and must not be forwarded; the session ends.
// Record does not keep Data. Both methods are safe for concurrent use; the order
// of Record calls is the order of the recording.
type Recorder interface {
	Record(Event) error
	Close(reason EndReason) error
}

// ChannelOpen describes a shell, a command or a file transfer that began. A command that
// is long, or no text, is legible there; then Bytes is its length, and it follows as it
// was, in events of CommandLine on the same stream.
type ChannelOpen struct {
	Type    Channel `json:"type"` // shell, exec, or files-in/files-out for sftp
	Command string  `json:"command,omitempty"`
	Bytes   int     `json:"bytes,omitempty"`
	Term    string  `json:"term,omitempty"`
	Cols    uint32  `json:"cols,omitempty"`
	Rows    uint32  `json:"rows,omitempty"`
}

// WindowSize is a terminal's size in character cells.
type WindowSize struct {
	Cols uint32 `json:"cols"`
	Rows uint32 `json:"rows"`
}

// ExitStatus is how a command ended: a status, or a signal's name.
type ExitStatus struct {
	Status uint32 `json:"status"`
	Signal string `json:"signal,omitempty"`
}

// FileOpen says that a file was opened and which way its bytes go.
type FileOpen struct {
	Path      string  `json:"path"`
	Direction Channel `json:"direction"`       // files-in or files-out
	Asked     string  `json:"asked,omitempty"` // how, and with which attributes: "create, truncate, mode 644"
}

// FileSummary closes a file. Where it was open for both, the bytes that came back from a
// file that was written are Back.
type FileSummary struct {
	Path      string  `json:"path"`
	Direction Channel `json:"direction"`
	Moved
	Back *Moved `json:"back,omitempty"`
}

// Moved is what moved one way of a file. SHA256 is hex, of the Size bytes that moved:
// those from offset From on in the order of the file, each once; or where Order says so,
// in the order in which they moved. It is empty where there is a reason for that.
type Moved struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
	From   int64  `json:"from,omitempty"`
	Order  string `json:"order,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// The orders of bytes that are not the file's.
const (
	AsMoved    = "moved"    // some bytes moved twice, or some in between did not
	AsAppended = "appended" // the device put each write at the end, wherever that was
)

// FileChange is what else was done to files: remove, rename, mkdir, list, stat ...
type FileChange struct {
	Action string `json:"action"`
	Path   string `json:"path"`
	Target string `json:"target,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Refusal is something the engineer's client asked for and did not get.
type Refusal struct {
	What   string `json:"what"`             // "x11-req", "channel direct-tcpip", "subsystem netconf" ...
	Detail string `json:"detail,omitempty"` // bounded, for people
}

// NoteKind says what a remark of the agent is about. Whoever reads a recording goes by
// the kind and its data; the text is for people.
type NoteKind string

// The kinds of remarks, and the fields that come with each beside the text. On the
// connection itself (stream 0) a remark says what happened; on a channel, what the
// engineer was told there.
const (
	NoteConnected NoteKind = "connected" // From: the engineer's client came
	NoteReturned  NoteKind = "returned"  // From: the engineer's browser came back
	NoteAway      NoteKind = "away"      // the engineer's browser went away
	NoteDevice    NoteKind = "device"    // there is no device connection
	NoteTerminal  NoteKind = "terminal"  // how a terminal was set up
	NoteVariable  NoteKind = "variable"  // what the engineer's client set in the environment, as "LANG=C"
	NoteDeaf      NoteKind = "deaf"      // the engineer's client reads no more output of the channel: none of it follows here
	NoteFrozen    NoteKind = "frozen"    // Cause, By: nothing goes to the device
	NoteThawed    NoteKind = "thawed"    // Cause, By: of the causes this one was lifted
	NoteWarning   NoteKind = "warning"   // Left: the session ends soon
	NoteExtended  NoteKind = "extended"  // Deadline: the session ends later
	NoteIdle      NoteKind = "idle"      // the connection is closed because nothing passed
	NoteEnded     NoteKind = "ended"     // Reason: the connection is over
	NoteRefused   NoteKind = "refused"   // Count: refusals that are not on record one by one
	NoteDropped   NoteKind = "dropped"   // Count: keys and movements at a console that came while nothing might pass
	NoteWatching  NoteKind = "watching"  // By: who watches from now on, by name; empty: nobody does
	NoteModality  NoteKind = "modality"  // State, By: the scanner is in this state, and whose word that is
	NoteConsent   NoteKind = "consent"   // By: who at the scanner let the session open, as Text says how
	NoteCritical  NoteKind = "critical"  // By, Deadline: a critical section began, rang or ended, and when the session ends now
	NoteSaid      NoteKind = "said"      // any other word of ours to the engineer
)

// Note is a remark of the agent.
type Note struct {
	Kind     NoteKind   `json:"kind"`
	Text     string     `json:"text"` // one plain sentence
	Cause    string     `json:"cause,omitempty"`
	By       string     `json:"by,omitempty"`
	From     string     `json:"from,omitempty"` // where a client is, as the broker says
	Deadline *time.Time `json:"deadline,omitempty"`
	Left     int        `json:"left,omitempty"` // seconds
	Reason   EndReason  `json:"reason,omitempty"`
	Count    int        `json:"count,omitempty"`

	State ModalityState `json:"state,omitempty"`
}
