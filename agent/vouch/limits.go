package vouch

import "time"

const (
	maxAtOnce    = 8                // questions in work at a time, of all issuers together
	perMinute    = 120              // questions to one issuer: sign-ins of a whole hospital
	maxQuestion  = 32 << 10         // bytes of one: head and form
	maxForm      = 16 << 10         // bytes of its form: codes have up to 4,000
	questionTime = 15 * time.Second // for one, its answer included
	freshly      = 10 * time.Minute // after this the discovery document is read again
)
