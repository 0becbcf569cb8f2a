package contact

// Bounds of a contact.
const (
	maxWords = 256 // bytes of its name in the configuration
	maxFile  = 64  // bytes that are read of a file that says 0 or 1
)
