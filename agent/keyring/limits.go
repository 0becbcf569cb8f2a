package keyring

const (
	maxFile     = 4 << 20 // bytes
	maxKeys     = 512     // that count
	maxOfPerson = 8       // of one person
	maxRevoked  = 1024    // that are remembered, for recordings; the oldest make room
	maxRevokedP = 16      // of one person, likewise
	maxGroups   = 32      // of one person, that are kept
)
