package provider

import "time"

// A trip to an identity provider, for which a person waits.
const (
	discoveryTime = 8 * time.Second
	exchangeTime  = 15 * time.Second // of a code for a token
	maxParameter  = 4 << 10          // bytes of what a browser brings back
	maxWhy        = 300              // bytes of why a provider refused
)
