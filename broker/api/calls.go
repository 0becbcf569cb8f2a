package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Shapes of calls.
type (
	none      struct{}
	of[T any] struct{ Body T }
	byID      struct {
		ID string `path:"id" maxLength:"60"`
	}
	fileQuery struct {
		ID     string `path:"id" maxLength:"60"`
		Reason string `query:"reason" maxLength:"300" doc:"why it is taken away, which is needed; stands in the audit log"`
	}
	assetsQuery struct {
		Stretch
		Site string `query:"site" maxLength:"64"`
		Name string `query:"name" maxLength:"64" doc:"the scanner's own name, in any case; without site at every site where the caller may know of it"`
	}
	// Stretch is which part of a list is wanted; exported because huma looks at no other.
	Stretch struct {
		After string `query:"after" maxLength:"300" doc:"what an earlier answer's X-Next said"`
		Limit int    `query:"limit" minimum:"0" maximum:"500" doc:"0: 100"`
	}
	// listed is a part of a list, which says where it goes on.
	listed[T any] struct {
		Next string `header:"X-Next" doc:"for after, when something was left out"`
		Body []T
	}
	requestsQuery struct {
		Stretch
		Status string `query:"status" enum:"pending,approved" doc:"only those that wait for an answer, or that are granted and not over"`
	}
	sessionsQuery struct {
		Stretch
		State string `query:"state" enum:"live" doc:"only those that are not over"`
	}
	waitQuery struct {
		ID     string         `path:"id" maxLength:"60"`
		Wait   int            `query:"wait" minimum:"0" maximum:"30" doc:"seconds to wait for another status"`
		Status session.Status `query:"status" doc:"the status that the caller knows"`
	}
	shortPath struct {
		Asset   string `path:"asset" maxLength:"64"`
		Service string `path:"service" maxLength:"64"`
	}
	servicePath struct {
		Site    string `path:"site" maxLength:"64"`
		Asset   string `path:"asset" maxLength:"64"`
		Service string `path:"service" maxLength:"64"`
	}
	submission struct{ Body Submission }
	decision   struct {
		ID   string `path:"id" maxLength:"60"`
		Body Decision
	}
	denial struct {
		ID   string `path:"id" maxLength:"60"`
		Body Denial
	}
	denials    struct{ Body Denials }
	activation struct {
		ID   string `path:"id" maxLength:"60"`
		Body Activation
	}
	counter struct {
		ID   string `path:"id" maxLength:"60"`
		Body Counter
	}
	revocation struct {
		ID   string `path:"id" maxLength:"60"`
		Body Revocation
	}
	standing struct{ Body Standing }
	viewing  struct {
		ID   string `path:"id" maxLength:"60"`
		Body Viewing
	}
	signIn struct {
		Body SignIn
		from string
	}
)

// Resolve notes where a sign-in comes from, for its limit.
func (s *signIn) Resolve(ctx huma.Context) []error {
	s.from = address(ctx.RemoteAddr())
	return nil
}

func answer[T any](v T) *of[T] { return &of[T]{Body: v} }

// register builds every call of the table.
func (d *door) register(api huma.API) {
	handle(d, api, "info", func(context.Context, signedIn, *none) (*of[Info], error) {
		return answer(Info{Version: d.Version, Node: d.Node, SSH: d.SSH}), nil
	})
	handle(d, api, "login", d.login)
	handle(d, api, "logout", d.logout)
	handle(d, api, "me", func(_ context.Context, who signedIn, _ *none) (*of[Login], error) {
		return answer(d.loginView("", who.Caller)), nil
	})
	handle(d, api, "list-assets", func(ctx context.Context, who signedIn, in *assetsQuery) (*listed[Asset], error) {
		all, next, err := d.Access.Assets(ctx, who, access.Which{Site: in.Site, Name: in.Name}, access.Stretch(in.Stretch))
		return &listed[Asset]{Next: next, Body: list(all)}, err
	})
	d.registerLogins(api)
	d.registerRequests(api)
	d.registerSessions(api)
	d.registerLife(api)
	d.registerRecordings(api)
	d.registerReplays(api)
	d.registerAudit(api)
	d.registerLive(api)
}

func (d *door) login(ctx context.Context, _ signedIn, in *signIn) (*of[Login], error) {
	g, err := d.Identity.Login(ctx, identity.Attempt{IDToken: in.Body.IDToken, Salt: in.Body.Salt,
		Key: in.Body.Key, Signature: in.Body.Signature, Address: in.from})
	if err != nil {
		return nil, err
	}
	return answer(d.loginView(g.Token, g.Caller)), nil
}

func (d *door) registerRequests(api huma.API) {
	handle(d, api, "submit-request", func(ctx context.Context, who signedIn, in *submission) (*of[Request], error) {
		r, err := d.Access.Submit(ctx, who, in.Body.Request, grant.Proof{Token: in.Body.Token, Salt: in.Body.Salt})
		return answer(r), err
	})
	handle(d, api, "list-requests", func(ctx context.Context, who signedIn, in *requestsQuery) (*listed[Request], error) {
		all, next, err := d.Access.List(ctx, who, session.Status(in.Status), access.Stretch(in.Stretch))
		return &listed[Request]{Next: next, Body: list(all)}, err
	})
	handle(d, api, "get-request", d.getRequest)
	handle(d, api, "get-documents", func(ctx context.Context, who signedIn, in *byID) (*of[Documents], error) {
		e, err := d.Access.Documents(ctx, who, in.ID)
		return answer(e), err
	})
	handle(d, api, "approve-request", func(ctx context.Context, who signedIn, in *decision) (*of[Decided], error) {
		r, admitted, err := d.Access.Approve(ctx, who, in.ID, in.Body.Grant, grant.Proof{Token: in.Body.Token, Salt: in.Body.Salt})
		return answer(Decided{Request: r, Admitted: admitted}), err
	})
	handle(d, api, "deny-request", func(ctx context.Context, who signedIn, in *denial) (*of[Request], error) {
		r, err := d.Access.Deny(ctx, who, in.ID, in.Body.Reason)
		return answer(r), err
	})
	handle(d, api, "deny-requests", func(ctx context.Context, who signedIn, in *denials) (*of[Denied], error) {
		b := in.Body
		out, err := d.Access.DenyAll(ctx, who, b.Site, session.Identity{Iss: b.Iss, Sub: b.Sub}, b.Reason)
		return answer(out), err
	})
	handle(d, api, "withdraw-request", func(ctx context.Context, who signedIn, in *byID) (*of[Request], error) {
		r, err := d.Access.Withdraw(ctx, who, in.ID)
		return answer(r), err
	})
	handle(d, api, "explain-access", func(ctx context.Context, who signedIn, in *servicePath) (*of[Access], error) {
		x, err := d.Access.Access(ctx, who, session.Target{Site: in.Site, Asset: in.Asset, Service: in.Service})
		return answer(x), err
	})
	handle(d, api, "explain-access-short", func(ctx context.Context, who signedIn, in *shortPath) (*of[Access], error) {
		x, err := d.Access.Access(ctx, who, session.Target{Asset: in.Asset, Service: in.Service})
		return answer(x), err
	})
}

// getRequest reads a request, with wait when its status changes.
func (d *door) getRequest(ctx context.Context, who signedIn, in *waitQuery) (*of[Request], error) {
	if in.Wait > 0 { // who has more than their share of these is answered at once
		if leave, ok := d.waiting.enter(who.Identity, nil); ok {
			defer leave()
			r, err := d.Access.Wait(ctx, who, in.ID, in.Status, time.Duration(in.Wait)*time.Second)
			return answer(r), err
		}
	}
	r, err := d.Access.Get(ctx, who, in.ID)
	return answer(r), err
}

func (d *door) registerSessions(api huma.API) {
	handle(d, api, "list-sessions", func(ctx context.Context, who signedIn, in *sessionsQuery) (*listed[Session], error) {
		all, next, err := d.Access.Sessions(ctx, who, in.State == "live", access.Stretch(in.Stretch))
		return &listed[Session]{Next: next, Body: list(all)}, err
	})
	handle(d, api, "get-session", withSession(d.Access.Session))
	handle(d, api, "kill-session", withSession(d.Access.Kill))
	handle(d, api, "freeze-session", withSession(d.Access.Freeze))
	handle(d, api, "thaw-session", withSession(d.Access.Thaw))
	handle(d, api, "watch-session", func(ctx context.Context, who signedIn, in *activation) (*of[Watching], error) {
		until, err := d.Access.Watch(ctx, who, in.ID, in.Body.Key, grant.Proof{Token: in.Body.Token, Salt: in.Body.Salt})
		return answer(Watching{Session: in.ID, Until: until}), err
	})
}

func withSession(f func(context.Context, access.Caller, string) (Session, error)) func(context.Context, signedIn, *byID) (*of[Session], error) {
	return func(ctx context.Context, who signedIn, in *byID) (*of[Session], error) {
		s, err := f(ctx, who, in.ID)
		return answer(s), err
	}
}

func (d *door) registerRecordings(api huma.API) {
	handle(d, api, "get-recording-file", func(ctx context.Context, who signedIn, in *fileQuery) (*huma.StreamResponse, error) {
		return d.fetch(ctx, who, in, ".sally", d.Vault.Assemble)
	})
	handle(d, api, "get-recording-pack", func(ctx context.Context, who signedIn, in *fileQuery) (*huma.StreamResponse, error) {
		return d.fetch(ctx, who, in, ".sallypack", d.Vault.Pack)
	})
	handle(d, api, "view-recording", func(ctx context.Context, who signedIn, in *viewing) (*none, error) {
		if err := d.Access.NoteViewing(ctx, who, in.ID, in.Body.Input, in.Body.Reason); err != nil {
			return nil, err
		}
		d.Log.Info("recording viewed", "recording", in.ID, "user", who.Sub, "issuer", who.Iss, "input", in.Body.Input)
		return nil, nil
	})
}

// fetch sends a recording to somebody who takes it away.
func (d *door) fetch(ctx context.Context, who signedIn, in *fileQuery, ending string, send func(context.Context, string, string, io.Writer) error) (*huma.StreamResponse, error) {
	r, err := d.Access.FetchRecording(ctx, who, in.ID, in.Reason)
	if err != nil {
		return nil, err
	}
	d.Log.Info("recording read", "recording", r.ID, "as", ending, "user", who.Sub, "issuer", who.Iss, "target", session.Target{Site: r.Site, Asset: r.Asset}.String())
	return &huma.StreamResponse{Body: func(out huma.Context) { d.sendFile(out, r.Site, r.ID, ending, send) }}, nil
}

// sendFile streams a recording. Trouble before the first byte is answered; later
// the connection breaks, so that nobody takes a part for the whole.
func (d *door) sendFile(out huma.Context, site, id, ending string, send func(context.Context, string, string, io.Writer) error) {
	w := &lateWriter{ctx: out, begin: func() {
		out.SetHeader("Content-Type", "application/octet-stream")
		out.SetHeader("Content-Disposition", `attachment; filename="`+id+ending+`"`)
		out.SetHeader("Content-Security-Policy", "default-src 'none'; sandbox")
		out.SetStatus(http.StatusOK)
	}}
	err := send(out.Context(), site, id, w)
	switch {
	case err == nil && !w.begun:
		w.start()
	case err != nil && !w.begun:
		d.refuse(out, d.problem(out.Context(), err))
	case err != nil:
		if !errors.Is(err, context.Canceled) {
			d.Log.Warn("a recording broke off", "recording", id, "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// lateWriter sends the header with the first byte.
type lateWriter struct {
	ctx   huma.Context
	begin func()
	begun bool
}

func (w *lateWriter) start() {
	w.begun = true
	w.begin()
}

func (w *lateWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.start()
	}
	return w.ctx.BodyWriter().Write(p)
}
