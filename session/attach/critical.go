package attach

import (
	"strconv"
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

// statement is what is asked, as the key signs it: nobody on the way can make it longer, or
// an end of it. What Check has passed holds no zero byte.
func (c Critical) statement() []string {
	if c.End {
		return []string{"end"}
	}
	return []string{"declare", strconv.Itoa(c.Seconds), c.Why}
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
