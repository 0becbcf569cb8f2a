package device

import "time"

// Bounds of reaching a device.
const (
	maxHeld     = 128              // bytes of a certificate that is held
	dialTime    = 10 * time.Second // dial and login together, where the target does not say otherwise
	maxDialTime = time.Minute      // and the most that it may say

	maxVariables = 64 // names in an environment

	keepAliveEvery = 15 * time.Second // of silence before a device is asked whether it is there, and between questions
	keepAliveCount = 4                // questions without an answer, then it is gone
)
