package held

// Parts of an agent's memory. A session has room for the largest console of either protocol
// and shells beside; no vendor has all.
const (
	allParts     = 24
	sessionParts = 8  // a third
	personParts  = 12 // a half
	vendorParts  = 15 // five eighths
)
