package agentcmd

import "time"

const (
	maxTokenFile = 16 << 10        // bytes; a join token has some 400
	trialTime    = 5 * time.Minute // for a person at the identity provider
)
