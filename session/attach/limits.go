package attach

// Bounds of frames in bytes.
const (
	MaxPayload = 64 << 10
	MaxJSON    = 16 << 10
	maxOpening = 4 << 10
	MaxCode    = 64 // of what the operator read out, as it was typed
	maxPing    = 8
	header     = 5
	maxTold    = 400 // of a sentence that a person is shown
)

// Bounds of a terminal. Its screen is kept by the agent, so it cannot be any size.
const (
	MaxCols  = 1000
	MaxRows  = 500
	MaxCells = 120_000
	maxTerm  = 64 // bytes of a terminal type
)
