package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// The cookies. The prefix makes browsers take them for this host alone, over TLS or
// loopback alone, and from nobody but it.
const (
	loginCookie = "__Host-sallyport"      // a login; never sent on anything that another site began
	tripCookie  = "__Host-sallyport-flow" // the browser's half of round trips; must survive the way back
	tripSeconds = 600
)

// Trips sends browsers to identity providers and takes them back.
type Trips interface {
	StartLogin(ctx context.Context, v identity.Visit, email, back, old string) (identity.Departure, error)
	StartProof(ctx context.Context, v identity.Visit, who identity.Caller, q identity.Question) (identity.Departure, error)
	Return(ctx context.Context, v identity.Visit, a identity.Answer) (identity.Callback, error)
}

// Outcomes keeps what became of round trips until the page asks.
type Outcomes interface {
	Keep(ctx context.Context, v identity.Visit, b identity.Callback, body []byte) error
	Outcome(ctx context.Context, trip, login, browser string) ([]byte, error)
}

// Logins says whose a cookie is, and shows people where they are signed in.
type Logins interface {
	Browser(ctx context.Context, cookie string) (identity.Caller, error)
	Logins(ctx context.Context, c identity.Caller) ([]identity.Login, error)
	End(ctx context.Context, c identity.Caller, id string) error
	EndAll(ctx context.Context, c identity.Caller) error
}

// Presence is Attendance, and a look at a cookie that is not use of its login.
type Presence interface {
	Attendance
	Look(ctx context.Context, cookie string) (identity.Caller, error)
}

// Browsers is everything about people who come by browser.
type Browsers interface {
	Trips
	Outcomes
	Logins
	Presence
}

// Web is what the door for browsers stands on.
type Web struct {
	URL      string    // as people type it, without a slash at the end: the only origin
	Browsers Browsers  // nil: nobody comes by browser
	Proofs   Proofs    // default: the door's Access
	Personas []Persona // of a demonstration
	Demo     bool
}

var (
	errTwoLogins = &session.Error{Kind: session.Invalid, Message: "The call shows a cookie and a bearer token; one of them is meant.", Next: "Send one of the two."}
	errOrigin    = &session.Error{Kind: session.Denied, Message: "This call did not come from a page of this broker.", Next: "Open the broker's own address and try again."}
	errNotJSON   = &session.Error{Kind: session.Invalid, Message: "The call is not marked as JSON.", Next: "Send Content-Type: application/json."}
)

// openAuth registers the plain calls of signing in by browser.
func (d *door) openAuth(mux *http.ServeMux) {
	mux.HandleFunc("GET /auth/options", d.plain(d.authOptions))
	mux.HandleFunc("POST /auth/login", d.plain(d.startLogin))
	mux.HandleFunc("GET "+session.CallbackPath+"{door}", d.plain(d.comeBack))
	mux.HandleFunc("POST "+session.CallbackPath+"{door}", d.plain(comeBackByForm))
	mux.HandleFunc("POST /auth/proofs", d.plain(d.startProof))
	mux.HandleFunc("GET /auth/outcomes/{trip}", d.plain(d.showOutcome))
}

// plain answers the error of a call outside huma.
func (d *door) plain(f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := error(nil)
		if d.Web.Browsers == nil {
			err = &session.Error{Kind: session.Refused, Message: "This broker signs nobody in by browser.", Next: "Use the sallyport command."}
		} else {
			err = f(w, r)
		}
		if err != nil {
			d.problem(r.Context(), err).write(w)
		}
	}
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// readJSON reads a small body strictly: known fields, nothing behind it.
func readJSON(r *http.Request, v any) error {
	const limit = 64 << 10
	bad := &session.Error{Kind: session.Invalid, Message: "The call is malformed.", Next: "Reload the page and try again."}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil || len(body) > limit {
		return bad
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if dec.Decode(v) != nil {
		return bad
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return bad
	}
	return nil
}

// admitted is the gate of plain calls that need a login: who calls, in which role, how often.
func (d *door) admitted(r *http.Request, roles ...session.Role) (signedIn, error) {
	who, err := d.identify(r)
	if err == nil && !slices.ContainsFunc(roles, who.Is) {
		err = notAllowed()
	}
	if err == nil && !d.rates.person(who.Identity, r, d.Now()) {
		err = errTooFast
	}
	if err != nil {
		return signedIn{}, err
	}
	lobby.Proven(r.Context())
	return who, nil
}

// identify says who calls: by a bearer token or by a browser's cookie, never by both.
// A call by cookie that changes something must come from a page of ours.
func (d *door) identify(r *http.Request) (signedIn, error) {
	cookies := r.CookiesNamed(loginCookie)
	bearers := r.Header.Values("Authorization")
	if len(cookies) == 0 || d.Web.Browsers == nil {
		bearer, err := bearerOf(bearers)
		if err != nil && r.Header.Get("Sec-Fetch-Site") != "" {
			err = errSignIn // only browsers say that
		}
		if err != nil {
			return signedIn{}, err
		}
		find := d.Identity.Authenticate
		if unattended(r) {
			find = d.Identity.Glance
		}
		who, err := find(r.Context(), bearer)
		return signedIn{Caller: who, bearer: bearer}, err
	}
	if len(bearers) > 0 {
		return signedIn{}, errTwoLogins
	}
	if len(cookies) > 1 {
		return signedIn{}, errSignIn
	}
	if err := d.fromOurPage(r); err != nil {
		return signedIn{}, err
	}
	find := d.Web.Browsers.Browser
	if unattended(r) {
		find = d.Web.Browsers.Look
	}
	who, err := find(r.Context(), cookies[0].Value)
	return signedIn{Caller: who}, err
}

// unattended reports whether a call is not somebody's doing: a program opens the stream of
// news again by itself. The call says that, never what stands in its headers.
func unattended(r *http.Request) bool { return r.URL.Path == eventsPath }

var errSignIn = &session.Error{Kind: session.Denied, Message: "You are not signed in.", Next: "Sign in again.", Err: identity.ErrNotSignedIn}

// fromOurPage refuses calls that change something and that another site could have
// begun. What a browser says of itself must say so; silence is not enough.
func (d *door) fromOurPage(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	origins, sites := r.Header.Values("Origin"), r.Header.Values("Sec-Fetch-Site")
	exact := len(origins) == 1 && origins[0] == d.origin
	same := len(sites) == 1 && sites[0] == "same-origin"
	typed := len(sites) == 1 && sites[0] == "none"
	switch {
	case d.crossOrigin.Check(r) != nil, len(origins) > 0 && !exact, len(sites) > 0 && !same && !typed, !exact && !same:
		return errOrigin
	case !isJSON(r):
		return errNotJSON
	}
	return nil
}

func isJSON(r *http.Request) bool {
	types := r.Header.Values("Content-Type")
	if len(types) != 1 {
		return false
	}
	media, _, _ := strings.Cut(types[0], ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// visit is what a browser's call brings along.
func visit(r *http.Request) identity.Visit {
	v := identity.Visit{Address: address(r.RemoteAddr), Conn: r.RemoteAddr, Agent: inWords(r.UserAgent())}
	if all := r.CookiesNamed(tripCookie); len(all) == 1 {
		v.Browser = all[0].Value
	}
	return v
}

// setLogin gives a browser its login. It ends with the browser, or when we say so.
func setLogin(h http.Header, value string) {
	h.Add("Set-Cookie", (&http.Cookie{Name: loginCookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}).String())
}

// noLogin is the header that takes a browser's login away.
func noLogin() string {
	return (&http.Cookie{Name: loginCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}).String()
}

func setTrip(h http.Header, value string) {
	h.Add("Set-Cookie", (&http.Cookie{Name: tripCookie, Value: value, Path: "/", MaxAge: tripSeconds, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}).String())
}

func (d *door) authOptions(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, AuthOptions{Demo: d.Web.Demo, Personas: list(d.Web.Personas)})
}

// startLogin sends a browser to the identity provider of an e-mail address, or of a
// persona of the demonstration.
func (d *door) startLogin(w http.ResponseWriter, r *http.Request) error {
	if err := d.fromOurPage(r); err != nil {
		return err
	}
	var in LoginStart
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Return == "" {
		in.Return = "/"
	}
	if !localPath(in.Return) {
		return &session.Error{Kind: session.Invalid, Message: "The page to return to is not one of this broker's.", Next: "Open the broker's front page and sign in there."}
	}
	if in.Persona != "" {
		i := slices.IndexFunc(d.Web.Personas, func(p Persona) bool { return p.Key == in.Persona })
		if i < 0 || in.Email != "" {
			return &session.Error{Kind: session.Invalid, Message: "There is no such persona here.", Next: "Sign in with your e-mail address."}
		}
		in.Email = d.Web.Personas[i].Email
	}
	old := ""
	if all := r.CookiesNamed(loginCookie); len(all) == 1 {
		if who, err := d.Web.Browsers.Browser(r.Context(), all[0].Value); err == nil {
			old = who.Login
		}
	}
	return d.depart(w, func() (identity.Departure, error) {
		return d.Web.Browsers.StartLogin(r.Context(), visit(r), in.Email, in.Return, old)
	})
}

// depart answers with the way to the identity provider.
func (d *door) depart(w http.ResponseWriter, start func() (identity.Departure, error)) error {
	to, err := start()
	if err != nil {
		return err
	}
	setTrip(w.Header(), to.Browser)
	return writeJSON(w, Departure{URL: to.URL})
}

// localPath reports whether a path leads to a page of this broker, however a browser
// reads it.
func localPath(p string) bool {
	return len(p) <= 1000 && strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "//") && !strings.HasPrefix(p, "/auth/") &&
		!strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f })
}

// comeBack takes a browser back from its identity provider. However that ends, the
// browser goes on to a page that can say so.
func (d *door) comeBack(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Sec-Fetch-Dest") == "iframe" { // a silent sign-in: the page around it has the cookies, and goes on
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		return nil
	}
	q := r.URL.Query()
	one := func(name string) string {
		if len(q[name]) == 1 {
			return q[name][0]
		}
		return ""
	}
	a := identity.Answer{State: one("state"), Code: one("code"), Iss: one("iss"), Trouble: one("error"), Door: r.PathValue("door")}
	if len(q["iss"]) > 1 {
		a.Iss = "several"
	}
	// The trip is used up from here on: whoever closes the page early must not lose
	// what they came for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 40*time.Second)
	defer cancel()
	b, err := d.Web.Browsers.Return(ctx, visit(r), a)
	switch {
	case b.Trip == "" && err != nil:
		return goTo(w, "/signin?problem="+d.lostWord(ctx, err))
	case err == nil && b.Errand == nil:
		setLogin(w.Header(), b.Token)
		return goTo(w, b.Return)
	}
	o := d.outcome(ctx, b, err)
	body, err := json.Marshal(o)
	if err == nil {
		err = d.Web.Browsers.Keep(ctx, visit(r), b, body)
	}
	if errors.Is(err, identity.ErrTooOften) {
		return goTo(w, "/signin?problem="+lostMany)
	}
	if err != nil {
		d.problem(ctx, err) // to the log; what was done is done
	}
	if b.Errand == nil || b.Login == "" {
		return goTo(w, "/signin?problem="+b.Trip)
	}
	return goTo(w, "/done/"+b.Trip)
}

// comeBackByForm takes an answer that the identity provider's page posted. The browser
// keeps its half of the round trip from another site's form, and brings it along when it
// is sent on to the same address by query: the code is good once, for this browser.
func comeBackByForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.URL.RawQuery != "" || r.ParseForm() != nil {
		return &session.Error{Kind: session.Invalid, Message: "The identity provider's answer cannot be read.", Next: "Start again."}
	}
	return goTo(w, session.CallbackPath+url.PathEscape(r.PathValue("door"))+"?"+r.PostForm.Encode())
}

// goTo sends a browser on. The path is ours or was checked by localPath.
func goTo(w http.ResponseWriter, path string) error {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// The outcomes of round trips that nobody knows, in words that anybody may read.
const (
	lostStale     = "stale"
	lostElsewhere = "elsewhere"
	lostBroker    = "trouble"
	lostMany      = "many"
)

func (d *door) lostWord(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, identity.ErrElsewhere):
		return lostElsewhere
	case errors.Is(err, identity.ErrStale):
		return lostStale
	}
	d.problem(ctx, err) // to the log
	return lostBroker
}

func lost(word string) (Outcome, bool) {
	var p *statusError
	switch word {
	case lostStale:
		p = newProblem(http.StatusForbidden, session.Denied, "This sign-in is too old, was used before, or was not started here.", "Start again.")
	case lostElsewhere:
		p = newProblem(http.StatusForbidden, session.Denied, "This sign-in was started in another browser.", "Start again, in one browser; allow cookies for this site.")
	case lostMany:
		p = newProblem(http.StatusForbidden, session.Denied, "You are not signed in, and so many sign-ins of your network failed that the reason was not kept.", "Start again.")
	case lostBroker:
		p = newProblem(http.StatusServiceUnavailable, session.Unreachable, "The broker could not finish the sign-in.", "Try again in a minute.")
	default:
		return Outcome{}, false
	}
	return Outcome{Role: "login", Return: "/", Problem: &p.Problem}, true
}

func (d *door) showOutcome(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("trip")
	if o, ok := lost(id); ok {
		return writeJSON(w, o)
	}
	login := ""
	if len(r.CookiesNamed(loginCookie)) > 0 {
		who, err := d.admitted(r, session.Engineer, session.Approver, session.Auditor)
		switch {
		case err == nil:
			login = who.Login
		case !errors.Is(err, identity.ErrNotSignedIn):
			return err
		}
	}
	body, err := d.Web.Browsers.Outcome(r.Context(), id, login, visit(r).Browser)
	if err != nil {
		return err
	}
	return writeJSON(w, json.RawMessage(body))
}

// registerLogins builds the calls about where somebody is signed in.
func (d *door) registerLogins(api huma.API) {
	handle(d, api, "list-logins", func(ctx context.Context, who signedIn, _ *none) (*of[[]LoginEntry], error) {
		if d.Web.Browsers == nil {
			return answer([]LoginEntry{}), nil
		}
		all, err := d.Web.Browsers.Logins(ctx, who.Caller)
		return answer(each(all, func(l identity.Login) LoginEntry {
			e := LoginEntry{ID: l.ID, Client: session.CLI, Agent: l.Agent, Created: l.Created.UTC(), Seen: l.Seen.UTC(), Current: l.ID == who.Login}
			if l.Web {
				e.Client = session.Web
			}
			return e
		})), err
	})
	handle(d, api, "end-logins", func(ctx context.Context, who signedIn, in *endLogins) (*cleared, error) {
		if d.Web.Browsers == nil || (in.Body.ID == "") == !in.Body.Everywhere {
			return nil, &session.Error{Kind: session.Invalid, Message: "Name one login, or all of them.", Next: "Look at the list of your logins."}
		}
		out := &cleared{}
		if who.Web && (in.Body.Everywhere || in.Body.ID == who.Login) {
			out.SetCookie = noLogin()
		}
		if in.Body.Everywhere {
			return out, d.Web.Browsers.EndAll(ctx, who.Caller)
		}
		return out, d.Web.Browsers.End(ctx, who.Caller, in.Body.ID)
	})
}

// logout ends the login of the call.
func (d *door) logout(ctx context.Context, who signedIn, _ *none) (*cleared, error) {
	if !who.Web {
		return nil, d.Identity.Logout(ctx, who.bearer)
	}
	return &cleared{SetCookie: noLogin()}, d.Web.Browsers.End(ctx, who.Caller, who.Login)
}

type (
	endLogins struct{ Body EndLogins }
	// cleared answers without a body and may take the browser's cookie away.
	cleared struct {
		SetCookie string `header:"Set-Cookie"`
	}
)
