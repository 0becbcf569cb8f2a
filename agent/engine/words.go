package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Words is an error as a person reads it: one sentence and what to do next.
func Words(err error) string {
	var e *session.Error
	if !errors.As(err, &e) {
		return "Something went wrong at the hospital's agent. Try again, or ask the hospital for its log."
	}
	s := wording.Sentence(wording.Line(e.Message, 400))
	if e.Next != "" {
		s += " " + wording.Line(e.Next, 200)
	}
	return s
}

// unrecordedWords begin what an engineer reads whose session's recording has no room.
const unrecordedWords = "This session can no longer be recorded, so it is over."

// What is read when a session is frozen and when it is not any more.
const (
	frozenWords = "The hospital froze this session."
	thawedWords = "The hospital lifted the freeze."
	waitWords   = "This session goes on when the hospital lifts its freeze."
)

// What a freeze by hand makes of what somebody does, by a stream of bytes or by hand at a
// console, or who only watches: bytes wait for the thaw, what is done by hand does not.
const (
	frozenBytes   = frozenWords + " What you type or send waits; the time runs on."
	frozenHands   = frozenWords + " You can look; keys, clicks and pasted text are dropped, not kept for later. The time runs on."
	frozenWatched = frozenWords + " Nothing of its engineer's goes to the device; the time runs on."
)

// frozenBy is what is read of a freeze by who works with a protocol.
func frozenBy(p session.Protocol) string {
	if slices.Contains(p.Channels(), session.Control) {
		return frozenHands
	}
	return frozenBytes
}

// unseenWords are what somebody reads whose leave to watch is over.
const unseenWords = "Your leave to watch this session is over. Sign in again to go on; the session itself is not affected."

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
