package packet

const (
	Most           = 256 << 10 // bytes of a packet; OpenSSH's bound too
	mostHandle     = 256       // bytes of a handle; the protocol's bound
	mostExtensions = 128       // that a server may offer
)
