package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/session"
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
		if p := d.tooMuch(r); p != nil {
			p.write(w)
			return
		}
		d.boundBody(w, r)
		next.ServeHTTP(w, r)
	})
}

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
// not keep an approver from a kill.
type rates struct {
	callers *limiter // calls of one person
	sources *limiter // calls of one address, before anybody is known
	checks  *limiter // checks of whole recordings by one person

	narrowing *limiter // calls that narrow, of one person or of one login that is claimed
	rush      *limiter // such calls of one address
}

func newRates() rates {
	return rates{callers: newLimiter(callsOfPerson, 2*callsOfPerson), sources: newLimiter(callsOfSource, 2*callsOfSource),
		checks:    newLimiter(rate.Every(checkEvery), checkBurst),
		narrowing: newLimiter(narrowOfPerson, 4*narrowOfPerson), rush: newLimiter(callsOfSource, 2*callsOfSource)}
}

// source takes a token of an address. The reserve goes by what a caller claims to be as
// well, or one who kills without end would use up what their neighbours have.
func (l rates) source(r *http.Request, now time.Time) bool {
	from := address(r.RemoteAddr)
	if l.sources.allow(from, now) {
		return true
	}
	claim := strings.Join(r.Header.Values("Authorization"), "\n") + "\n" + strings.Join(r.Header.Values("Cookie"), "\n")
	return narrows(r) && l.narrowing.allow("from "+from+"\n"+hashOf(claim), now) && l.rush.allow(from, now)
}

// person takes a token of a person.
func (l rates) person(p session.Identity, r *http.Request, now time.Time) bool {
	name := p.Iss + "\n" + p.Sub
	return l.callers.allow(name, now) || narrows(r) && l.narrowing.allow(name, now)
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

// limiter holds a token bucket for each of many names. It remembers a bounded
// number of them and forgets the idle first.
type limiter struct {
	every rate.Limit
	burst int

	mu      sync.Mutex // guards buckets
	buckets map[string]*bucket
}

type bucket struct {
	*rate.Limiter
	seen time.Time
}

func newLimiter(perSecond rate.Limit, burst int) *limiter {
	return &limiter{every: perSecond, burst: burst, buckets: map[string]*bucket{}}
}

// allow takes one token of a name's bucket.
func (l *limiter) allow(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[name]
	if b == nil {
		l.makeRoom(now)
		b = &bucket{Limiter: rate.NewLimiter(l.every, l.burst)}
		l.buckets[name] = b
	}
	b.seen = now
	return b.AllowN(now, 1)
}

// makeRoom forgets buckets that are full again anyway, then, under a flood, anyone's.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	for name, b := range l.buckets {
		if now.Sub(b.seen) > 10*time.Second {
			delete(l.buckets, name)
		}
	}
	for name := range l.buckets {
		if len(l.buckets) < maxBuckets {
			return
		}
		delete(l.buckets, name)
	}
}
