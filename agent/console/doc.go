// Package console is the agent's own door for the hospital's operators: status,
// kill, freeze and thaw, and what state the scanners are in, over a unix socket that only the
// agent's user and root can use. It works with the broker gone. It knows HTTP and JSON, and nothing of sessions but their names.
//
//	GET  /status           → Status
//	POST /kill   Target    → Killed
//	POST /freeze Target    → Frozen
//	POST /thaw   Target    → Frozen
//	GET  /state            → []State
//	POST /state  Switch    → State
//
// A Target is {session}, {asset}, {engineer} or {all: true}.
//
// Errors are Problem documents with the status of their kind.
package console
