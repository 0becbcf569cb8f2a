package wording

import "github.com/sallyport/sallyport/session"

// Consent is what somebody reads, before they ask or approve, of what the operator at a
// scanner is asked before a session opens there; empty: nothing.
func Consent(c session.Consent) string {
	if !c.Asked() {
		return ""
	}
	return phrases()["consent-"+string(c)]
}

// Asking is what the hospital reads of an operator who is or was asked: how that is going, or
// what came of it.
func Asking(kind session.Consent, came session.Outcome, how session.Means) string {
	switch came {
	case session.Asking:
		return phrases()["asked-"+string(kind)]
	case session.ConsentGiven:
		return phrases()["given-"+string(how)]
	}
	return phrases()[string(came)]
}

// Awaits is what an engineer reads who waits for the operator.
func Awaits(c session.Consent, asset string) string {
	if c == session.ConsentCode {
		return "This session opens with the six digits that the operator at " + asset + " reads out, or when they accept at their page. They are asked for five minutes: call them."
	}
	return "This session opens when the operator at " + asset + " accepts. They are asked for five minutes: call them if nobody answers."
}
