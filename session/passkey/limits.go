package passkey

// Of what a browser brings. Real ones have a quarter of it at most.
const (
	maxClientData    = 2 << 10
	maxAuthenticator = 4 << 10 // bytes of an answer's data
	maxAttestation   = 16 << 10
	maxSignature     = 1 << 10
	minID            = 16   // bytes of a key's name
	maxID            = 1023 // the standard's
	maxDepth         = 4    // of CBOR in CBOR; an attestation's certificates need 3
	maxItems         = 64   // of one map or list
	maxValues        = 512  // in all
)

// Of a key.
const (
	minRSA   = 2048 // bits
	maxRSA   = 4096
	exponent = 65537 // what all makers use
)
