package home

import "time"

const (
	MaxFile  = 1 << 20          // bytes of each of the small files that people keep
	dialTime = 10 * time.Second // for a way out, through the proxy if there is one
)
