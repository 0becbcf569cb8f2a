package page

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/console/provider"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// Visitor is somebody who signed in by name.
type Visitor struct {
	Person   session.Person
	Name     string // as people here are called
	Approves bool   // is one of the hospital's approvers
	Key      string // the passkey by which they signed in; empty: at the identity provider
}

// Provider is the hospital's identity provider; see package provider.
type Provider interface {
	Begin(ctx context.Context, q provider.Question) (*provider.Trip, error)
}

// tripCookie ties a trip to the browser that began it. It comes back from another site, so it
// is not as strict as the sign-in's, and is worth nothing without a trip.
const tripCookie = "__Host-sallyport-trip"

// trip is somebody who is at the identity provider.
type trip struct {
	*provider.Trip
	since   time.Time
	network string
	browser [32]byte // hash of its cookie
	draft   *Draft   // that they sign; nil: they sign in
	salt    [32]byte // of that signature
	signed  [32]byte // by whose sign-in
	who     *Visitor
	// registers: they come back to register a passkey.
	registers bool
}

// trips are all who are there, by state.
type trips struct {
	now  func() time.Time
	pace *lobby.Pace   // of those that begin, by network
	turn chan struct{} // questions to the provider at a time

	mu  sync.Mutex
	out map[string]*trip
}

func newTrips(now func() time.Time) *trips {
	return &trips{now: now, pace: lobby.NewPace(tripEvery, tripsAtOnce), turn: make(chan struct{}, maxAsking), out: map[string]*trip{}}
}

func (t *trips) add(x *trip) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for state, o := range t.out {
		if now.Sub(o.since) >= tripTime {
			delete(t.out, state)
		}
	}
	t.makeRoom(maxTripsOf, func(o *trip) bool { return o.network == x.network })
	t.makeRoom(maxTrips, func(*trip) bool { return true })
	t.out[x.State] = x
}

func (t *trips) makeRoom(most int, kind func(*trip) bool) {
	n, oldest := 0, ""
	for state, o := range t.out {
		if !kind(o) {
			continue
		}
		n++
		if first := t.out[oldest]; first == nil || o.since.Before(first.since) {
			oldest = state
		}
	}
	if n >= most {
		delete(t.out, oldest)
	}
}

// take is the trip from which a browser comes back, once, and only to the browser that
// began it.
func (t *trips) take(r *http.Request) (*trip, bool) {
	c, err := r.Cookie(tripCookie)
	if err != nil {
		return nil, false
	}
	state := r.URL.Query().Get("state")
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.out[state]
	if x == nil || x.browser != sha256.Sum256([]byte(c.Value)) || t.now().Sub(x.since) >= tripTime {
		return nil, false
	}
	delete(t.out, state)
	return x, true
}

// enter sends somebody to sign in by name.
func (p *page) enter(w http.ResponseWriter, r *http.Request) {
	_, err := form(r)
	if err == nil {
		err = p.leave(w, r, &trip{}, provider.Question{Nonce: nonce()}, "Sign in")
	}
	if err != nil {
		p.cfg.Log.Warn("no sign-in at the identity provider", "from", r.RemoteAddr, "err", err)
		p.show(w, r, err)
	}
}

// nonce is 43 characters of nothing but chance: of a sign-in, which covers no document.
func nonce() string {
	return rand.Text() + rand.Text()[:17]
}

// leave asks the provider and sends the browser there, by a page of its own: a redirect out
// of a form would have to be allowed to every host to which the provider leads.
func (p *page) leave(w http.ResponseWriter, r *http.Request, x *trip, q provider.Question, title string) error {
	if "https://"+r.Host != p.cfg.Settings.URL() {
		return session.Errorf(session.Refused, "People sign in by name at %s only.", p.cfg.Settings.URL()).WithNext("Open the page there.")
	}
	x.network = lobby.NetworkOf(from(r).String()).String()
	if !p.trips.pace.Allow(x.network, p.trips.now()) {
		return session.Errorf(session.Refused, "Too many go to the identity provider from here.").WithNext("Wait some seconds and press again.")
	}
	select {
	case p.trips.turn <- struct{}{}:
		defer func() { <-p.trips.turn }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	q.Redirect = p.cfg.Settings.Redirect()
	var err error
	if x.Trip, err = p.cfg.Provider.Begin(r.Context(), q); err != nil {
		return err
	}
	secret := rand.Text()
	x.since, x.browser = p.trips.now(), sha256.Sum256([]byte(secret))
	p.trips.add(x)
	http.SetCookie(w, &http.Cookie{Name: tripCookie, Value: secret, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(tripTime.Seconds())})
	p.step(w, http.StatusOK, step{Title: title, Text: "The hospital's sign-in opens.", Target: x.URL, Label: "Go to the sign-in", On: true})
	return nil
}

// back is where the provider sends people. The sign-in's cookie does not come along from
// another site: the trip knows whose it is.
func (p *page) back(w http.ResponseWriter, r *http.Request) {
	x, ok := p.trips.take(r)
	if !ok || len(r.URL.RawQuery) > maxBack {
		p.step(w, http.StatusBadRequest, step{Title: "Not signed in", Text: "This is not a sign-in that was begun in this browser, or it took too long.", Target: "/", Label: "Back to the page"})
		return
	}
	http.SetCookie(w, &http.Cookie{Name: tripCookie, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
	token, err := x.Finish(r.Context(), url.Values(r.URL.Query()))
	if x.registers {
		p.mayRegister(w, r, x, token, err)
		return
	}
	if x.draft != nil {
		p.signed(w, r, x, token, err)
		return
	}
	var who Visitor
	if err == nil {
		who, err = p.cfg.Decisions.Visit(r.Context(), x.Nonce, token)
	}
	if err != nil {
		p.cfg.Log.Warn("no sign-in at the agent's page", "from", r.RemoteAddr, "err", err)
		p.stop(w, "Not signed in", err)
		return
	}
	p.cfg.Log.Info("signed in at the agent's page", "from", r.RemoteAddr, "user", who.Person.Sub, "issuer", who.Person.Iss, "approves", who.Approves)
	p.signIns.leave(r)
	p.welcome(w, p.signIns.enter(x.network, &who))
	p.step(w, http.StatusOK, step{Title: "Signed in", Text: who.Name + " is signed in.", Target: "/", Label: "Go on to the page", On: true})
}

// welcome gives a browser the cookie of a sign-in.
func (p *page) welcome(w http.ResponseWriter, token string) {
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(signedLongest.Seconds())})
}
