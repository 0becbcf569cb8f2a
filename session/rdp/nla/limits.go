package nla

const (
	maxRequest = 64 << 10 // of one message of CredSSP
	maxPairs   = 32       // of what the console tells about itself
)
