package fleet

import "time"

const (
	maxPEM     = 16 << 10                  // bytes of a key or certificate file; they have about 1 KiB
	caTime     = 10 * 365 * 24 * time.Hour // life of the link's CA: replacing it means enrolling every agent again
	nodeTime   = 30 * 24 * time.Hour       // life of a node's certificate, made anew at half of it
	sweepEvery = 3 * time.Second           // until a node notices what another node revoked
)
