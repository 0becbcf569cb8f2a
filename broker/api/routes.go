package api

import (
	"net/http"

	"github.com/sallyport/sallyport/session"
)

// route is a line of the table that says who may call what. A call that is not in
// the table is refused, and so is a role that its line does not name.
type route struct {
	id      string
	method  string
	path    string
	public  bool           // nobody has to be signed in
	roles   []session.Role // who may call; which sites and ids, the rooms below decide
	summary string
	status  int // of the good answer; 0: 200
}

// eventsPath is where the stream of news is.
const eventsPath = "/api/v1/events"

// table is the whole authorisation of the HTTP door.
func table() []route {
	const v1 = "/api/v1"
	engineers := []session.Role{session.Engineer}
	approvers := []session.Role{session.Approver}
	deciders := []session.Role{session.Engineer, session.Approver}
	readers := []session.Role{session.Approver, session.Auditor}
	everybody := []session.Role{session.Engineer, session.Approver, session.Auditor}
	return []route{
		{"info", http.MethodGet, v1 + "/info", true, nil, "What broker this is and where its ssh door stands", 0},
		{"login", http.MethodPost, v1 + "/login", true, nil, "Sign in with an ID token made for this broker and a session key", 0},
		{"logout", http.MethodPost, v1 + "/logout", false, everybody, "End the login", http.StatusNoContent},
		{"me", http.MethodGet, v1 + "/me", false, everybody, "Who is signed in", 0},
		{"list-logins", http.MethodGet, v1 + "/logins", false, everybody, "Where the caller is signed in", 0},
		{"end-logins", http.MethodPost, v1 + "/logins/end", false, everybody, "End one of the caller's logins, or all of them", http.StatusNoContent},
		{"list-assets", http.MethodGet, v1 + "/assets", false, everybody, "Scanners that the caller may know of", 0},
		{"submit-request", http.MethodPost, v1 + "/requests", false, engineers, "Ask for access", http.StatusCreated},
		{"list-requests", http.MethodGet, v1 + "/requests", false, everybody, "An engineer's own requests, or those of the site", 0},
		{"get-request", http.MethodGet, v1 + "/requests/{id}", false, everybody, "One request, at once or when its status changes", 0},
		{"get-documents", http.MethodGet, v1 + "/requests/{id}/documents", false, everybody, "The exact bytes and proofs of a request", 0},
		{"approve-request", http.MethodPost, v1 + "/requests/{id}/approvals", false, approvers, "Approve a request with a grant", 0},
		{"deny-request", http.MethodPost, v1 + "/requests/{id}/deny", false, approvers, "Deny a request", 0},
		{"deny-requests", http.MethodPost, v1 + "/requests/deny", false, approvers, "Deny all that waits of one engineer, or of one vendor, at a site", 0},
		{"withdraw-request", http.MethodPost, v1 + "/requests/{id}/withdraw", false, engineers, "Take a request back", 0},
		{"activate-request", http.MethodPost, v1 + "/requests/{id}/activate", false, engineers, "Add a key to an approved request, with a fresh proof", 0},
		{"propose-window", http.MethodPost, v1 + "/requests/{id}/propose", false, approvers, "Propose another window", 0},
		{"revoke-request", http.MethodPost, v1 + "/requests/{id}/revoke", false, approvers, "Take an approval back, opened or not", 0},
		{"explain-access", http.MethodGet, v1 + "/access/{site}/{asset}/{service}", false, engineers, "May I connect now, and if not, what is missing", 0},
		{"explain-access-short", http.MethodGet, v1 + "/access/{asset}/{service}", false, engineers, "The same by a short name, which is refused where it is ambiguous", 0},
		{"list-sessions", http.MethodGet, v1 + "/sessions", false, everybody, "Sessions that the caller may know of", 0},
		{"get-session", http.MethodGet, v1 + "/sessions/{id}", false, everybody, "One session", 0},
		{"kill-session", http.MethodPost, v1 + "/sessions/{id}/kill", false, deciders, "End a session", 0},
		{"freeze-session", http.MethodPost, v1 + "/sessions/{id}/freeze", false, approvers, "Stop what the engineer types", 0},
		{"thaw-session", http.MethodPost, v1 + "/sessions/{id}/thaw", false, approvers, "Let the engineer type again", 0},
		{"list-engineers", http.MethodGet, v1 + "/engineers", false, approvers, "Engineers who asked for the caller's sites, and who is disabled there", 0},
		{"disable-engineer", http.MethodPost, v1 + "/engineers/disable", false, approvers, "End an engineer's access to a site", 0},
		{"enable-engineer", http.MethodPost, v1 + "/engineers/enable", false, approvers, "Let an engineer ask again", 0},
		{"list-recordings", http.MethodGet, v1 + "/recordings", false, everybody, "Recordings that the caller may know of", 0},
		{"get-recording", http.MethodGet, v1 + "/recordings/{id}", false, everybody, "One recording", 0},
		{"get-recording-file", http.MethodGet, v1 + "/recordings/{id}/file", false, everybody, "The sealed recording as one file", 0},
		{"list-audit-logs", http.MethodGet, v1 + "/audit/logs", false, everybody, "The audit logs of the broker's nodes", 0},
		{"list-audit-events", http.MethodGet, v1 + "/audit/events", false, everybody, "Audit events that the caller may read, as the log's exact entries", 0},
		{"prove-audit-event", http.MethodGet, v1 + "/audit/events/{index}/proof", false, everybody, "The proof that an event is in the log", 0},
		{"get-audit-checkpoint", http.MethodGet, v1 + "/audit/checkpoint", false, everybody, "The newest signed checkpoint of the audit log, and its key", 0},
		{"list-audit-leaves", http.MethodGet, v1 + "/audit/leaves", false, everybody, "Hashes of the log's entries, from which its tree is computed", 0},
		{"get-recording-pack", http.MethodGet, v1 + "/recordings/{id}/pack", false, everybody, "The evidence pack: the recording with its papers and countersignatures", 0},
		{"get-request-context", http.MethodGet, v1 + "/requests/{id}/context", false, everybody, "What a decision about a request should know", 0},
		{"get-recording-replay", http.MethodGet, v1 + "/recordings/{id}/replay", false, everybody, "What a player has to know of a recording", 0},
		{"get-recording-part", http.MethodGet, v1 + "/recordings/{id}/replay/{n}", false, everybody, "What happens in one part of a recording", 0},
		{"get-recording-moment", http.MethodGet, v1 + "/recordings/{id}/replay/at/{at}", false, everybody, "The part at which a player begins that shows a moment of a recording", 0},
		{"get-recording-picture", http.MethodGet, v1 + "/recordings/{id}/picture", false, everybody, "A picture of a recording, too small to be read", 0},
		{"get-recording-thumb", http.MethodGet, v1 + "/recordings/{id}/replay/thumb/{at}", false, everybody, "A small picture of a moment of a recording", 0},
		{"get-recording-transcript", http.MethodGet, v1 + "/recordings/{id}/transcript", false, everybody, "What a recording shows, as lines", 0},
		{"verify-recording", http.MethodPost, v1 + "/recordings/{id}/verify", false, everybody, "Have the broker check a recording itself", 0},
		{"review-recording", http.MethodPost, v1 + "/recordings/{id}/reviews", false, readers, "Say of a recording whether all was as agreed", 0},
		{"view-recording", http.MethodPost, v1 + "/recordings/{id}/viewed", false, everybody, "Note that the caller looks at a recording, before they do", http.StatusNoContent},
		{"follow-events", http.MethodGet, eventsPath, false, everybody, "What changes, of what the caller may know: server-sent events", 0},
		{"watch-session", http.MethodPost, v1 + "/sessions/{id}/watch", false, readers, "Let a key watch a live session, with a fresh proof", 0},
		{"attach", http.MethodPost, v1 + "/attach", false, everybody, "A ticket for one WebSocket to a service", http.StatusCreated},
		{"attach-socket", http.MethodGet, v1 + "/attach/ws", false, everybody, "The WebSocket: the ticket first, then a stream that the broker cannot read", http.StatusSwitchingProtocols},
	}
}
