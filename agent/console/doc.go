// Package console is the agent's own door for the hospital's operators: status and
// kill over a unix socket that only the agent's user and root can use. It works with
// the broker gone. It knows HTTP and JSON, and nothing of sessions but their names.
//
//	GET  /status                                → Status
//	POST /kill {session | asset | all: true}    → Killed
//
// Errors are Problem documents with the status of their kind.
package console
