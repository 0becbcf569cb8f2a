package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
)

// LastWords is what the engineer reads when a connection is ended from our side.
func LastWords(reason session.EndReason) string {
	switch reason {
	case session.OutOfTime:
		return "This session ended at its limit."
	case session.Completed:
		return "This session was closed."
	case session.RevokedGrant:
		return "The hospital took this grant back: the session is over."
	case session.KilledLocal, session.KilledRemote:
		return "The hospital ended this session."
	case session.LinkLost:
		return "The broker was away for more than a minute: the session is over."
	case session.RecorderLost:
		return "This session can no longer be recorded, so it is over. Tell the hospital; nothing went to the device unrecorded."
	case session.DeviceClosed:
		return "The device closed the connection."
	case session.AgentLost:
		return "The hospital's agent is stopping. Connect again in a moment; the session stays open until its limit."
	default:
		return "The connection ended because of an error at the hospital's agent. Connect again, or ask the hospital for its log."
	}
}

// Words is an error as a person reads it: one sentence and what to do next.
func Words(err error) string {
	var e *session.Error
	if !errors.As(err, &e) {
		return "Something went wrong at the hospital's agent. Try again, or ask the hospital for its log."
	}
	s := plain(strings.TrimSpace(e.Message), 400)
	if s != "" && !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	if e.Next != "" {
		s += " " + plain(e.Next, 200)
	}
	return s
}

// What an engineer reads when a session is frozen and when it is not any more.
const (
	frozenWords = "The hospital froze this session. What you type waits; the time runs on."
	thawedWords = "The hospital lifted the freeze."
)

// frozenNotice says how the freeze stands.
func frozenNotice(causes []string) attach.Notice {
	if len(causes) == 0 {
		return attach.Notice{Type: attach.NoticeThawed, Text: thawedWords}
	}
	return attach.Notice{Type: attach.NoticeFrozen, Causes: causes, Text: frozenWords}
}

// warnings are told when this much of a session is left.
func warnings() []time.Duration {
	return []time.Duration{15 * time.Minute, 5 * time.Minute, time.Minute}
}

func warning(left time.Duration) string {
	if left == time.Minute {
		return "This session ends in 1 minute."
	}
	return fmt.Sprintf("This session ends in %d minutes.", int(left.Minutes()))
}
