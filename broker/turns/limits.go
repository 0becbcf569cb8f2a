package turns

const (
	maxWaiting = 256 // who wait for one thing, of all
	ofTenant   = 4   // times as many of one organisation as of one person
)
