package screen

// Bounds of what is made of a recording.
const (
	// MaxThumb is the longer side of a thumbnail in pixels, MinThumb the least that is asked for.
	MaxThumb, MinThumb = 480, 16

	back  = 128 // segments before a moment in which a begin is looked for: the recorder is never further behind
	ahead = 8   // segments that are played through to get to a moment, rather than begin again
)
