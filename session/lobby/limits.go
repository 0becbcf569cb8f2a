package lobby

import "time"

// What is one network to us: a customer gets a /64 of IPv6 and rarely more than a /24 of IPv4.
const (
	networkIPv4 = 24
	networkIPv6 = 64
)

// busyTime is how long whoever is at it keeps its place before its neighbours.
const busyTime = 5 * time.Second

// knownTime is how long a network is known after somebody proved something there.
const knownTime = 24 * time.Hour

// maxNames is how many names a pace remembers.
const maxNames = 20000

// loudAtFirst is how many lines of one kind are written at once.
const loudAtFirst = 10
