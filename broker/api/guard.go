package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// noPowers takes from our pages what none of them needs.
const noPowers = "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), " +
	"magnetometer=(), microphone=(), midi=(), payment=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"

// guard wraps the whole door: nothing is answered outside it. Its headers are for data;
// a handler that serves a page replaces the Content-Security-Policy by the page's own.
func (d *door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.ToLower(rand.Text())
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", noPowers)
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		}
		defer d.recover(w, r)
		if p := d.misdirected(r); p != nil {
			h.Set("Connection", "close") // whoever sent twenty at once is answered once
			p.write(w)
			return
		}
		if p := d.tooMuch(r); p != nil {
			p.write(w)
			return
		}
		d.boundBody(w, r)
		next.ServeHTTP(w, r)
	})
}

// misdirected refuses calls by a name that is not this broker's: a page of somebody else's
// name that leads here would be read with its rights. Signs of life are told by any name,
// because monitors ask each node by its address; they tell nothing.
func (d *door) misdirected(r *http.Request) *statusError {
	if d.origin == "" || slices.Contains([]string{"/livez", "/readyz", "/healthz"}, r.URL.Path) || d.named(r.Host) {
		return nil
	}
	return newProblem(http.StatusMisdirectedRequest, session.Invalid, "This broker does not answer by that name.", "Use the address that people have for it.")
}

// named reports whether a Host is that of the broker's URL; a demonstration on loopback goes
// by every name of loopback.
func (d *door) named(host string) bool {
	scheme, own, _ := strings.Cut(d.origin, "://")
	at, err := originOf(scheme + "://" + host)
	if err != nil || strings.ContainsAny(host, "@/?#\\%") {
		return false
	}
	return at == d.origin || session.Loopback(hostname(own)) && session.Loopback(hostname(host))
}

// hostname is a host without its port and without the brackets of IPv6.
func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

// boundBody limits a body in bytes and in time, whoever reads it or does not: what is
// left of it the server takes before it answers. Once it is there, the server lifts
// the time limit, and the call may take longer.
func (d *door) boundBody(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d.bodyTime)) // every connection of ours can
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
}

// tooMuch refuses calls that are larger or more frequent than any of ours.
func (d *door) tooMuch(r *http.Request) *statusError {
	const next = "Use the sallyport command of this version."
	size, cookies := 0, 0
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
			if name == "Cookie" {
				cookies += 1 + strings.Count(v, ";")
			}
		}
	}
	switch {
	case size > maxHeader, cookies > maxCookies:
		return newProblem(http.StatusRequestHeaderFieldsTooLarge, session.Invalid, "The call's header is too large.", next)
	case strings.Count(r.URL.RawQuery, "&") >= maxParams:
		return newProblem(http.StatusBadRequest, session.Invalid, "The call has too many parameters.", next)
	case r.ContentLength > maxBody:
		return newProblem(http.StatusRequestEntityTooLarge, session.Invalid, "The call's body is too large.", next)
	case !d.rates.source(r, d.Now()):
		return newProblem(http.StatusTooManyRequests, errTooFast.Kind, errTooFast.Message, errTooFast.Next)
	}
	return nil
}

// recover answers for a handler that panicked; the server lives on.
func (d *door) recover(w http.ResponseWriter, r *http.Request) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p) // the server's own way to break a transfer off
	default:
		d.problem(r.Context(), fmt.Errorf("panic: %v", p)).write(w)
	}
}

type requestIDKey struct{}

// requestID names a call in answers and logs.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// address is the caller's network address. Headers that claim another are ignored.
func address(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}

// rates is how often anybody may call. What narrows access has a reserve of its own, of
// each caller and of each address: a colleague or a neighbour who calls without end does
// not keep an approver from a kill. Nor does a neighbour keep out whoever is signed in, or
// comes to sign in over a connection of their own.
type rates struct {
	callers *lobby.Pace // calls of one person, or of one login that was good lately
	sources *lobby.Pace // calls of one address, before anybody is known
	checks  *lobby.Pace // checks of whole recordings by one person
	proven  *lobby.Pace // logins: an empty bucket is one that was good lately
	coming  *lobby.Pace // calls of one connection that sign in

	narrowing *lobby.Pace // calls that narrow, of one person or of one login that is claimed
	rush      *lobby.Pace // such calls of one address
}

func newRates() rates {
	perSecond := func(n int, burst int) *lobby.Pace { return lobby.NewPace(time.Second/time.Duration(n), burst) }
	return rates{callers: perSecond(callsOfPerson, 2*callsOfPerson), sources: perSecond(callsOfSource, 2*callsOfSource),
		checks: lobby.NewPace(checkEvery, checkBurst),
		proven: lobby.NewPace(provenTime, 1), coming: perSecond(comingOfConn, 4*comingOfConn),
		narrowing: perSecond(narrowOfPerson, 4*narrowOfPerson), rush: perSecond(callsOfSource, 2*callsOfSource)}
}

// source takes a token of an address. The reserves go by what a caller claims to be as
// well, or one who kills without end would use up what their neighbours have.
func (l rates) source(r *http.Request, now time.Time) bool {
	from := address(r.RemoteAddr)
	if l.sources.Allow(from, now) {
		return true
	}
	claim := claimOf(r)
	return !l.proven.Has(claim, now) && l.callers.Allow("from "+claim, now) ||
		signsIn(r) && l.coming.Allow(r.RemoteAddr, now) ||
		narrows(r) && l.narrowing.Allow("from "+from+"\n"+claim, now) && l.rush.Allow(from, now)
}

// person takes a token of a person, and remembers their login.
func (l rates) person(p session.Identity, r *http.Request, now time.Time) bool {
	l.proven.Allow(claimOf(r), now)
	name := p.Iss + "\n" + p.Sub
	return l.callers.Allow(name, now) || narrows(r) && l.narrowing.Allow(name, now)
}

// claimOf is the login that a call shows, good or not.
func claimOf(r *http.Request) string {
	claim := strings.Join(r.Header.Values("Authorization"), "\n")
	for _, c := range r.CookiesNamed(loginCookie) {
		claim += "\n" + c.Value
	}
	return hashOf(claim)
}

// signsIn reports whether a call is a step of signing in.
func signsIn(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/auth/") || r.URL.Path == "/api/v1/login"
}

// narrows reports whether a call only takes access away.
func narrows(r *http.Request) bool {
	for _, verb := range []string{"/kill", "/freeze", "/revoke", "/deny", "/engineers/disable"} {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, verb) {
			return true
		}
	}
	return false
}
