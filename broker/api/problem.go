package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/turns"
	"github.com/sallyport/sallyport/session"
)

const problemType = "application/problem+json"

// problemSchema describes Problem to the API's description.
var problemSchema = reflect.TypeFor[Problem]()

// errTooFast says that a caller is over the rate.
var errTooFast = &session.Error{Kind: session.Refused, Message: "That is too much in a short time.", Next: "Wait a moment."}

// statusError is a Problem as an error of a handler.
type statusError struct {
	Problem
}

func (e *statusError) Error() string  { return e.Message }
func (e *statusError) GetStatus() int { return e.Status }

// GetHeaders says when to come back to whoever came too often.
func (e *statusError) GetHeaders() http.Header {
	if e.Status != http.StatusTooManyRequests {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(busyWait)}}
}

func (e *statusError) ContentType(string) string { return problemType }

// problem makes what people read of an error. Details of ours go to the log only.
func (d *door) problem(ctx context.Context, err error) *statusError {
	var e *session.Error
	if !errors.As(err, &e) || e.Kind == session.Internal {
		d.Log.Error("a call failed", "request_id", requestID(ctx), "err", err)
		e = &session.Error{Kind: session.Internal, Message: "Something went wrong in the broker.",
			Next: "Try again; if it stays, tell whoever runs the broker the request id " + requestID(ctx) + "."}
	} else if e.Kind == session.Unreachable {
		d.Log.Warn("a call found nobody", "request_id", requestID(ctx), "err", err)
	}
	return newProblem(statusOf(err, e.Kind), e.Kind, e.Message, e.Next)
}

func newProblem(status int, kind session.Kind, message, next string) *statusError {
	return &statusError{Problem{Status: status, Title: http.StatusText(status), Detail: message, Kind: kind, Message: message, Next: next}}
}

// statusOf maps kinds to statuses. What is unknown and what is foreign is 404.
func statusOf(err error, kind session.Kind) int {
	switch {
	case errors.Is(err, errTooFast), errors.Is(err, turns.ErrBusy), errors.Is(err, identity.ErrTooOften):
		return http.StatusTooManyRequests
	case errors.Is(err, identity.ErrNotSignedIn):
		return http.StatusUnauthorized
	case errors.Is(err, access.ErrUnknown), errors.Is(err, identity.ErrUnknown):
		return http.StatusNotFound
	}
	return kind.Status()
}

// problemFromHuma turns what huma says of malformed calls into ours.
func problemFromHuma(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	status := plain(m.Status)
	kind, message := session.Invalid, "The call is malformed"
	switch {
	case status >= 500:
		kind, message = session.Internal, "Something went wrong in the broker"
	case len(m.Errors) > 0 && m.Errors[0] != nil && m.Errors[0].Location != "":
		message += " at " + m.Errors[0].Location
	}
	return newProblem(status, kind, message+".", "Use the sallyport command of this version."), nil
}

// plain is the status for people's scripts: malformed is 400, whatever is malformed.
func plain(status int) int {
	if status == http.StatusUnprocessableEntity {
		return http.StatusBadRequest
	}
	return status
}

// plainStatus writes plain statuses.
type plainStatus struct{ call }

// call is huma.Context under a name that does not hide its method Context.
type call = huma.Context

// Unwrap leads to the connection, for streams and sockets.
func (c plainStatus) Unwrap() huma.Context { return c.call }

func (c plainStatus) SetStatus(code int) { c.call.SetStatus(plain(code)) }

// refuse answers a call with a problem from within a middleware.
func (d *door) refuse(ctx huma.Context, p *statusError) {
	ctx.SetHeader("Content-Type", problemType)
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", "Bearer")
	}
	for name := range p.GetHeaders() {
		ctx.SetHeader(name, p.GetHeaders().Get(name))
	}
	ctx.SetStatus(p.Status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(p)
}

// write answers a call outside huma with a problem.
func (p *statusError) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", problemType)
	maps.Copy(w.Header(), p.GetHeaders())
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
