package session

import "time"

// Status is where a request stands. It is computed from facts and the time.
type Status string

const (
	Pending   Status = "pending"   // the hospital has not answered, or not all who must
	Approved  Status = "approved"  // a grant exists and can be used
	DeniedBy  Status = "denied"    // the hospital said no
	Withdrawn Status = "withdrawn" // the engineer took it back
	Lapsed    Status = "lapsed"    // its window passed: never answered, or never opened
	Revoked   Status = "revoked"   // granted, then taken back before or while it was used
	Closed    Status = "closed"    // its session is over
)

// RequestFacts is everything that is known about a request and what came of it.
// Zero times mean "did not happen".
type RequestFacts struct {
	NotAfter  time.Time // end of the window, the grant's once there is one
	Withdrawn time.Time
	Denied    time.Time
	Granted   time.Time
	Session   SessionFacts
}

// Status derives where the request stands at now.
func (f RequestFacts) Status(now time.Time) Status {
	switch {
	case !f.Denied.IsZero():
		return DeniedBy
	case !f.Withdrawn.IsZero():
		return Withdrawn
	case f.Granted.IsZero():
		if !now.Before(f.NotAfter) {
			return Lapsed
		}
		return Pending
	case !f.Session.Ended.IsZero():
		if f.Session.Reason == RevokedGrant {
			return Revoked
		}
		return Closed
	case f.Session.Opened.IsZero():
		if !now.Before(f.NotAfter) {
			return Lapsed
		}
		return Approved
	case !now.Before(f.Session.Deadline):
		return Closed
	default:
		return Approved
	}
}

// State is where a session stands.
type State string

const (
	AwaitingConsent State = "awaiting-consent" // the operator at the scanner is asked, and it has not begun
	Unopened        State = "unopened"         // the operator was asked, and it has not begun
	Live            State = "live"
	Frozen          State = "frozen"
	Ended           State = "ended"
)

// EndReason says why a session ended, or why a connection of it did.
type EndReason string

const (
	Completed    EndReason = "completed"     // by its people
	OutOfTime    EndReason = "expired"       // at its deadline
	RevokedGrant EndReason = "revoked"       // the hospital took the grant back
	KilledLocal  EndReason = "killed-local"  // at the agent
	KilledRemote EndReason = "killed-remote" // through the broker
	LinkLost     EndReason = "link-lost"     // the broker was away longer than the grace
	AgentLost    EndReason = "agent-lost"    // the agent died in mid-session
	RecorderLost EndReason = "recorder"      // a byte could not be recorded
	DeviceClosed EndReason = "device-closed" // the device hung up (connections only)
	Failed       EndReason = "error"         // anything else; the log has it
)

// SessionFacts is what happened to a session. Zero times mean "did not happen".
type SessionFacts struct {
	Asked    time.Time // the operator, last
	Asking   time.Time // and until when they are; zero once they answered
	Opened   time.Time
	Deadline time.Time
	Frozen   bool
	Ended    time.Time
	Reason   EndReason
}

// State derives where a session stands at now that was opened, or about which the operator
// was asked. A session that nobody
// reported as ended is over at its deadline all the same.
func (f SessionFacts) State(now time.Time) State {
	switch {
	case !f.Ended.IsZero():
		return Ended
	case f.Opened.IsZero() && now.Before(f.Asking):
		return AwaitingConsent
	case f.Opened.IsZero() && !f.Asked.IsZero():
		return Unopened
	case !now.Before(f.Deadline):
		return Ended
	case f.Frozen:
		return Frozen
	default:
		return Live
	}
}

// WhyEnded is the reason to show: the reported one, or "expired" past the deadline.
func (f SessionFacts) WhyEnded(now time.Time) EndReason {
	if f.Reason == "" && !f.Opened.IsZero() && !now.Before(f.Deadline) {
		return OutOfTime
	}
	return f.Reason
}

// Deadline is when a session that started at start must be over.
func Deadline(start time.Time, longest time.Duration, notAfter time.Time) time.Time {
	end := start.Add(longest)
	if notAfter.Before(end) {
		return notAfter
	}
	return end
}
