package setup

const (
	maxAnswer = 500       // bytes
	maxFile   = 256 << 10 // bytes of a file of answers
)
