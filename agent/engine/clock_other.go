//go:build !linux

package engine

import "time"

// sinceBoot does not exist here; the wall clock covers sleep.
func sinceBoot() time.Duration { return 0 }
