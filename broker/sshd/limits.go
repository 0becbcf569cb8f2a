package sshd

import "time"

const (
	maxKeyFile          = 16 << 10         // bytes of a host key file; an ed25519 key has about 400
	relayBuffer         = 64 << 10         // bytes per direction of a stream: two SSH packets
	maxStrangers        = 512              // connections that have not proven a key, all together
	maxStrangersNetwork = 32               // the same, of one network
	shakeEvery          = time.Second / 2  // a handshake more of a network that is not known
	shakeBurst          = 100              // and so many at once
	maxPerEngineer      = 64               // connections of one engineer
	maxTries            = 3                // failed authentications per connection
	maxStreams          = 16               // open channels per connection
	maxRefusals         = 10               // refused channels and requests, then the connection ends
	greetTime           = 10 * time.Second // in which a client says at least
	greetBytes          = 256              // bytes: a tenth of what every client says first
	idleTime            = 2 * time.Minute  // a connection without a channel
	lookupTime          = 5 * time.Second  // KeyOwner, Route
	openTime            = 15 * time.Second // Streams.Open
	lingerTime          = 10 * time.Second // what is left of a stream whose agent end is over
	recheckTime         = 2 * time.Second  // between two looks at who may go on
)
