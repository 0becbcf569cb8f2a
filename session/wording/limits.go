package wording

const (
	maxUnknown = 64 // bytes of a word that is not ours

	maxName   = 64 // characters of what somebody is called
	maxMarks  = 2  // accents on one of them
	maxDigits = 3  // of it
)
