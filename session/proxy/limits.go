package proxy

import "time"

const (
	connectTime = 15 * time.Second // from the proxy's name to its answer
	maxAnswer   = 64 << 10         // bytes of its answer's header
)
