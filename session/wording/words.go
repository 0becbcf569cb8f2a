package wording

import "github.com/sallyport/sallyport/session"

// ends are all the ways in which a session or a connection ends: what a list says, and
// what the engineer is told who is in it.
func ends() map[session.EndReason]ending {
	return map[session.EndReason]ending{
		session.Completed:    {"ended by its people", "This session was closed."},
		session.OutOfTime:    {"ended at its limit", "This session ended at its limit."},
		session.RevokedGrant: {"ended when the hospital took its approval back", "The hospital took this grant back: the session is over."},
		session.KilledLocal:  {"ended by the hospital, at its agent", "The hospital ended this session."},
		session.KilledRemote: {"ended by the hospital, through the broker", "The hospital ended this session."},
		session.LinkLost:     {"ended when the broker was away too long", "The broker was away for more than a minute: the session is over."},
		session.AgentLost: {"ended when the agent stopped",
			"The hospital's agent is stopping. Connect again in a moment; the session stays open until its limit."},
		session.RecorderLost: {"ended when it could not be recorded any more",
			"This session can no longer be recorded, so it is over. Tell the hospital; nothing went to the device unrecorded."},
		session.DeviceClosed: {"ended when the device hung up", "The device closed the connection."},
		session.Failed: {"ended by an error",
			"The connection ended because of an error at the hospital's agent. Connect again, or ask the hospital for its log."},
	}
}

type ending struct{ words, farewell string }

// KnownEnd reports whether a session or connection can end so.
func KnownEnd(why session.EndReason) bool { _, ok := ends()[why]; return ok }

// Ended says how something ended; it begins with "ended" and is no sentence yet.
func Ended(why session.EndReason) string {
	if !KnownEnd(why) {
		return "ended"
	}
	return ends()[why].words
}

// Farewell is what the engineer reads when a connection is ended from our side.
func Farewell(why session.EndReason) string {
	if !KnownEnd(why) {
		why = session.Failed
	}
	return ends()[why].farewell
}

// Channel says what a channel lets somebody do: "wants to ...".
func Channel(c session.Channel) string { return known(channels(), c) }

// Class says how far a service may go: "to ...".
func Class(c session.Class) string { return known(classes(), c) }

func channels() map[session.Channel]string {
	return map[session.Channel]string{
		session.Shell:        "use a command shell",
		session.Exec:         "run single commands",
		session.FilesIn:      "copy files to the scanner",
		session.FilesOut:     "copy files from the scanner",
		session.ClipboardIn:  "paste text into the console",
		session.ClipboardOut: "copy text out of the console",
		session.Control:      "work on the console with mouse and keyboard",
	}
}

func classes() map[session.Class]string {
	return map[session.Class]string{
		session.Observe:       "look only",
		session.NonDisruptive: "work without disturbing patients",
		session.Disruptive:    "work that may stop the scanner",
	}
}

// known is the words for a value of ours, or the value itself, made fit to be shown.
func known[S ~string](words map[S]string, v S) string {
	if w, ok := words[v]; ok {
		return w
	}
	return Line(string(v), maxUnknown)
}
