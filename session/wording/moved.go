package wording

import (
	"fmt"

	"github.com/sallyport/sallyport/session"
)

// Hash is what stands for content that moved: its hash and what that covers, or why there
// is none.
func Hash(m session.Moved) string {
	switch {
	case m.SHA256 == "":
		return m.Reason
	case m.Order == session.AsAppended:
		return "SHA-256 " + m.SHA256 + " of what was appended"
	case m.Order != "":
		return "SHA-256 " + m.SHA256 + " of the bytes in the order in which they moved: some moved twice, or some were left out"
	case m.From > 0:
		return fmt.Sprintf("SHA-256 %s of the bytes from %d on", m.SHA256, m.From)
	}
	return "SHA-256 " + m.SHA256
}
