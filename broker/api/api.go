package api

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/turns"
	"github.com/sallyport/sallyport/session"
)

// Doorkeeper signs people in and says who they are.
type Doorkeeper interface {
	Login(ctx context.Context, a identity.Attempt) (identity.Granted, error)
	Authenticate(ctx context.Context, bearer string) (identity.Caller, error)
	// Glance is Authenticate for a call that is nobody's doing: the login is not used by it.
	Glance(ctx context.Context, bearer string) (identity.Caller, error)
	Logout(ctx context.Context, bearer string) error
}

// Vault gives recordings back, and checks them. An error before the first byte is written becomes
// the answer; a later one breaks the transfer off.
type Vault interface {
	Assemble(ctx context.Context, site, recording string, w io.Writer) error
	// Pack writes the evidence pack: the recording with all that explains it.
	Pack(ctx context.Context, site, recording string, w io.Writer) error
	Check(ctx context.Context, site, recording string) (access.Verdict, error)
}

// Check is something that must work for the broker to be of use.
type Check struct {
	Name  string
	Works func(ctx context.Context) error
}

// Config is what the door stands on.
type Config struct {
	Version  string
	Node     string
	SSH      SSHDoor
	Identity Doorkeeper
	Access   *access.Access
	Vault    Vault
	Replays  Replays
	Thumbs   Thumbs
	Digest   func(site, recording string) // has a digest computed; may be nil
	Audit    AuditLogs
	Pages    http.Handler // the web application; nil: there is none
	Web      Web
	Live     *Live
	Checks   []Check // of /readyz
	Now      func() time.Time
	Log      *slog.Logger
}

// door is the HTTP door.
type door struct {
	Config
	routes  map[string]route
	rates   rates
	waiting *crowd                  // long polls by person
	turns   map[string]*turns.Turns // of calls that cost a lot, by id

	bodyTime    time.Duration // for a body to come
	crossOrigin *http.CrossOriginProtection
	origin      string // of our pages
}

// New makes the handler of the whole HTTP door.
func New(c Config) (http.Handler, error) {
	d, err := newDoor(c)
	if err != nil {
		return nil, err
	}
	handler, _, err := d.build()
	return handler, err
}

// build makes the handler and the description of its API.
func newDoor(c Config) (*door, error) {
	if c.Identity == nil || c.Access == nil || c.Vault == nil || c.Replays == nil || c.Thumbs == nil || c.Audit == nil || c.Live == nil {
		return nil, session.Errorf(session.Internal, "api: the configuration is not complete")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &door{Config: c, routes: map[string]route{}, rates: newRates(), waiting: newCrowd(maxWaiting, waitsOfPerson), turns: newWorks(),
		bodyTime: bodyTime, crossOrigin: http.NewCrossOriginProtection()}
	if c.Web.URL != "" { // our own origin, whatever name a proxy before us gives the host
		var err error
		if d.origin, err = originOf(c.Web.URL); err != nil {
			return nil, err
		}
		if err := d.crossOrigin.AddTrustedOrigin(d.origin); err != nil {
			return nil, session.Errorf(session.Invalid, "api: the broker's URL: %w", err)
		}
	}
	if d.Web.Proofs == nil {
		d.Web.Proofs = c.Access
	}
	return d, nil
}

// build makes the handler, and the description of its calls.
func (d *door) build() (http.Handler, huma.API, error) {
	mux := http.NewServeMux()
	api := humago.New(mux, describe())
	api.UseMiddleware(d.admit)
	for _, r := range table() {
		d.routes[r.id] = r
	}
	d.register(api)
	if described := len(operations(api)); described != len(d.routes) {
		return nil, nil, session.Errorf(session.Internal, "api: %d calls are built and %d allowed", described, len(d.routes))
	}
	delete(api.OpenAPI().Components.Schemas.Map(), "ErrorModel") // every error is a Problem
	description, err := json.Marshal(api.OpenAPI())
	if err != nil {
		return nil, nil, session.Errorf(session.Internal, "api: describe: %w", err)
	}
	d.pages(mux, description)
	d.openAuth(mux)
	return d.guard(mux), api, nil
}

// Harden sets the limits of a server that a handler cannot set.
func Harden(s *http.Server) {
	s.ReadHeaderTimeout = 5 * time.Second
	s.IdleTimeout = 2 * time.Minute
	s.MaxHeaderBytes = maxHeader
}

// describe is huma without its extra routes, links and formats.
func describe() huma.Config {
	c := huma.DefaultConfig("Sallyport broker", "1")
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{problemFromHuma}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"},
		"cookie": {Type: "apiKey", In: "cookie", Name: loginCookie}}
	return c
}

// operations are the calls that the API describes, by id.
func operations(api huma.API) map[string]*huma.Operation {
	all := map[string]*huma.Operation{}
	for _, p := range api.OpenAPI().Paths {
		for _, o := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete, p.Head, p.Options, p.Trace} {
			if o != nil {
				all[o.OperationID] = o
			}
		}
	}
	return all
}

// callerKey finds the caller in a call's context; only admit writes it.
type callerKey struct{}

// signedIn is the caller of a call and the bearer token that they showed; who comes by
// browser has none.
type signedIn struct {
	identity.Caller
	bearer string
}

// handle registers a call of the table. The handler gets the caller that admit
// let through, or the zero one on public routes.
func handle[I, O any](d *door, api huma.API, id string, f func(context.Context, signedIn, *I) (*O, error)) {
	r := d.routes[id]
	op := huma.Operation{OperationID: id, Method: r.method, Path: r.path, Summary: r.summary, DefaultStatus: r.status,
		MaxBodyBytes: maxBody, BodyReadTimeout: bodyTime}
	if !r.public {
		op.Security = []map[string][]string{{"bearer": {}}, {"cookie": {}}}
	}
	op.Responses = map[string]*huma.Response{"default": {Description: "Problem", Content: map[string]*huma.MediaType{
		problemType: {Schema: api.OpenAPI().Components.Schemas.Schema(problemSchema, true, "Problem")}}}}
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		who, _ := ctx.Value(callerKey{}).(signedIn)
		out, err := f(ctx, who, in)
		if err != nil {
			return nil, d.problem(ctx, err)
		}
		return out, nil
	})
}

// admit is the gate of every call: the table, the login, the role, the rate.
func (d *door) admit(outer huma.Context, next func(huma.Context)) {
	ctx := huma.Context(plainStatus{outer})
	r, known := d.routes[ctx.Operation().OperationID]
	if !known {
		d.refuse(ctx, d.problem(ctx.Context(), notAllowed()))
		return
	}
	if r.public {
		next(ctx)
		return
	}
	request, _ := humago.Unwrap(outer)
	who, err := d.admitted(request, r.roles...)
	if err != nil {
		d.refuse(ctx, d.problem(ctx.Context(), err))
		return
	}
	leave, err := d.turn(request, r.id, who.Identity)
	if err != nil {
		d.refuse(ctx, d.problem(ctx.Context(), err))
		return
	}
	defer leave()
	if packed(r.id) {
		p, finish := pack(ctx)
		defer finish()
		ctx = p
	}
	next(huma.WithValue(ctx, callerKey{}, who))
}

func notAllowed() error {
	return &session.Error{Kind: session.Denied, Message: "Your role may not do this.",
		Next: "Engineers ask, the hospital's approvers decide, auditors look."}
}

// bearerOf reads the one Authorization header.
func bearerOf(headers []string) (string, error) {
	if len(headers) == 1 {
		if token, ok := strings.CutPrefix(headers[0], "Bearer "); ok {
			return token, nil
		}
	}
	return "", &session.Error{Kind: session.Denied, Message: "You are not signed in.", Next: "Run sallyport login.", Err: identity.ErrNotSignedIn}
}
