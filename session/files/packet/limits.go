package packet

const (
	Most           = 256 << 10 // bytes of a packet; OpenSSH's bound too
	mostHandle     = 256       // bytes of a handle; the protocol's bound
	mostExtensions = 128       // that a server may offer
	mostNames      = 4096      // in one answer; OpenSSH sends 100, others what fits 32 KiB
	mostName       = 4 << 10   // bytes of an entry's name, or of what is said of it; files have 255
)
