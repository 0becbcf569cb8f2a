package devidp

import "time"

// What somebody else can make a provider hold.
const (
	maxBody     = 64 << 10 // bytes of a posted form
	maxParam    = 4096     // bytes of a nonce, state or redirect
	maxCodes    = 1000     // that were not redeemed yet; the oldest go
	maxSessions = 1000     // signed-in browsers; the oldest go
)

// How long what it gives is good.
const (
	codeLife    = 60 * time.Second
	tokenLife   = time.Hour
	sessionLife = 8 * time.Hour
)
