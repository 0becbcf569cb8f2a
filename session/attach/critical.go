package attach

import (
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Critical is the opening of a proof for a critical section: begin one, or end it.
type Critical struct {
	Seconds int    `json:"seconds"`
	Why     string `json:"why"` // one line, which the hospital reads
	End     bool   `json:"end"`
}

// Check refuses what is neither a section nor the end of one.
func (c Critical) Check() error {
	begins := c.Seconds > 0 && c.Seconds <= int(session.MaxCritical/time.Second) && len(c.Why) > 0 && len(c.Why) <= session.MaxCriticalWhy && wording.Plain(c.Why)
	if c.End && c.Seconds == 0 && c.Why == "" || !c.End && begins {
		return nil
	}
	return ErrFrame
}

// ParseCritical reads the opening of a proof for a critical section.
func ParseCritical(opening []byte) (Critical, error) {
	var c Critical
	if err := decode(opening, &c, "seconds", "why", "end"); err != nil {
		return Critical{}, err
	}
	return c, c.Check()
}
