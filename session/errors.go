package session

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind tells a door what to do with an error. There are six and no more.
type Kind string

const (
	Invalid     Kind = "invalid"     // malformed or unknown: asking again the same way cannot help
	Denied      Kind = "denied"      // this person may not do this
	Refused     Kind = "refused"     // well-formed, but the hospital's policy or state says no
	Expired     Kind = "expired"     // was right once; its time is over
	Unreachable Kind = "unreachable" // a peer (agent, device, identity provider, store) did not answer
	Internal    Kind = "internal"    // our fault
)

// Status is what HTTP calls an error of the kind.
func (k Kind) Status() int {
	switch k {
	case Invalid:
		return http.StatusBadRequest
	case Denied:
		return http.StatusForbidden
	case Refused:
		return http.StatusConflict
	case Expired:
		return http.StatusGone
	case Unreachable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// Error is an error that a person will read: one plain sentence, and what to do
// next. Err keeps the details for the log and is never shown.
type Error struct {
	Kind    Kind
	Message string
	Next    string
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a kind; %w in the format becomes Err's chain.
func Errorf(kind Kind, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: wrapped.Error(), Err: errors.Unwrap(wrapped)}
}

// WithNext returns a copy of e that tells the reader what to do next.
func (e *Error) WithNext(next string) *Error {
	c := *e
	c.Next = next
	return &c
}

// KindOf is the kind of the first *Error in err's chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// BadField is a configuration value that cannot be used. Path is its place in the
// file ("$.assets[0].policy.approvals"), so that whoever read the file can point at it.
type BadField struct {
	Path    string
	Problem string
}

func (e *BadField) Error() string { return e.Path + ": " + e.Problem }
