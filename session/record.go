package session

// EventKind says what an event of a recording is. The letter is what stands in
// the file; recordings/FORMAT.md is the reference.
type EventKind byte

const (
	ChannelOpened EventKind = 'c' // Data: JSON ChannelOpen
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

// Recorder takes every byte before it is forwarded. When Record returns an error
// the byte is not on record and must not be forwarded; the session ends.
// Record does not keep Data. Both methods are safe for concurrent use; the order
// of Record calls is the order of the recording.
type Recorder interface {
	Record(Event) error
	Close(reason EndReason) error
}

// MaxEventData bounds Event.Data; longer data is split by whoever records it.
const MaxEventData = 32 << 10

// ChannelOpen describes a shell, a command or a file transfer that began.
type ChannelOpen struct {
	Type    Channel `json:"type"` // shell, exec, or files-in/files-out for sftp
	Command string  `json:"command,omitempty"`
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
	Direction Channel `json:"direction"` // files-in or files-out
}

// FileSummary closes a file. SHA256 is hex, of the bytes that were moved in file
// order; it is empty, with a reason, when they were not moved exactly once each.
type FileSummary struct {
	Path      string  `json:"path"`
	Direction Channel `json:"direction"`
	Size      int64   `json:"size"`
	SHA256    string  `json:"sha256,omitempty"`
	Reason    string  `json:"reason,omitempty"`
}

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

// Note is a remark of the agent.
type Note struct {
	Text string `json:"text"`
}
