// Package console is the approver's page on the approver's own machine: a loopback
// port that nobody else reaches, an address nobody can guess, no script, nothing
// loaded from elsewhere. It shows what the command verified and takes one decision.
// It verifies nothing itself and knows no documents: it is given a View.
package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

//go:embed page.html step.html style.css
var files embed.FS

// Decision is what the approver clicked.
type Decision struct {
	Approve bool
	Reason  string // of a denial
}

// Limits is what an approver allows instead of what was asked.
type Limits struct {
	Longest  time.Duration
	Channels []session.Channel
	// NoCritical allows no critical sections.
	NoCritical bool
}

// Outcome ends the page's story.
type Outcome struct {
	Good  bool
	Title string
	Text  string
}

// Config says what to show.
type Config struct {
	View   View
	Narrow func(Limits) (View, error) // builds what would be granted instead
}

// Console is one open page.
type Console struct {
	URL string

	narrow    func(Limits) (View, error)
	look      look
	host      string
	root      string // "/" + token
	server    *http.Server
	served    chan struct{}
	decisions chan Decision
	leave     chan struct{} // closed by Leave
	finished  chan struct{} // closed by Finish

	mu  sync.Mutex // guards now
	now state
}

// look is what pages are drawn with.
type look struct {
	page, step *template.Template
	style      []byte
}

// state is where the page's story stands.
type state struct {
	view    View
	decided bool
	target  string  // set before leave is closed
	outcome Outcome // set before finished is closed
	told    func()  // ends the wait of Close for a browser that is on its way to the outcome
}

// Open serves the page on a random loopback port until Close.
func Open(ctx context.Context, cfg Config) (*Console, error) {
	c := &Console{narrow: cfg.Narrow, now: state{view: cfg.View}, decisions: make(chan Decision, 1), served: make(chan struct{}),
		leave: make(chan struct{}), finished: make(chan struct{})}
	var err error
	if c.look.page, err = template.ParseFS(files, "page.html"); err != nil {
		return nil, err
	}
	if c.look.step, err = template.ParseFS(files, "step.html"); err != nil {
		return nil, err
	}
	if c.look.style, err = files.ReadFile("style.css"); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, session.Errorf(session.Internal, "No port on 127.0.0.1 can be opened for the approval page: %w", err).
			WithNext("Approve in the terminal instead: add --yes.")
	}
	var token [24]byte
	_, _ = rand.Read(token[:])
	c.root = "/" + base64.RawURLEncoding.EncodeToString(token[:])
	c.host = listener.Addr().String()
	c.URL = "http://" + c.host + c.root + "/"
	c.server = &http.Server{Handler: c.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() { // owned by Close
		defer close(c.served)
		_ = c.server.Serve(listener)
	}()
	return c, nil
}

// Decide waits for the click. The view that was on the page then is Shown.
func (c *Console) Decide(ctx context.Context) (Decision, error) {
	select {
	case d := <-c.decisions:
		return d, nil
	case <-ctx.Done():
		return Decision{}, ctx.Err()
	}
}

// Shown is the view that is on the page.
func (c *Console) Shown() View {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.view
}

// Done is where a sign-in sends the browser back to.
func (c *Console) Done() string { return "http://" + c.host + c.root + "/done" }

// Leave sends the waiting browser to the sign-in. It may be called once.
func (c *Console) Leave(url string) {
	c.mu.Lock()
	c.now.target = url
	c.mu.Unlock()
	close(c.leave)
}

// Finish tells the waiting browser how it ended. It may be called once.
func (c *Console) Finish(o Outcome) {
	c.mu.Lock()
	c.now.outcome = o
	c.mu.Unlock()
	close(c.finished)
}

// Close ends the page once an answer that is being written is out. After Finish a browser that
// comes from the sign-in has a moment to read how it ended.
func (c *Console) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	select {
	case <-c.finished:
		c.awaited()
	default:
	}
	if c.server.Shutdown(ctx) != nil {
		_ = c.server.Close()
	}
	<-c.served
}

// awaited returns when somebody was told the outcome, or when nobody comes for it.
func (c *Console) awaited() {
	ctx, told := context.WithTimeout(context.Background(), 2*time.Second)
	defer told()
	c.mu.Lock()
	if c.now.told == nil {
		c.now.told = told
	} else {
		told() // it was read before
	}
	c.mu.Unlock()
	<-ctx.Done()
}

func (c *Console) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+c.root+"/{$}", c.show)
	mux.HandleFunc("GET "+c.root+"/style.css", c.css)
	mux.HandleFunc("POST "+c.root+"/narrow", c.post(c.takeNarrow))
	mux.HandleFunc("POST "+c.root+"/decide", c.post(c.takeDecision))
	mux.HandleFunc("GET "+c.root+"/next", c.next)
	mux.HandleFunc("GET "+c.root+"/done", c.done)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Host != c.host { // a name that was rebound to this address
			http.Error(w, "not here", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// post wraps what changes something: only our own page may send it.
func (c *Console) post(take http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		if (origin != "" && origin != "http://"+c.host) || (site != "" && site != "same-origin") {
			http.Error(w, "this did not come from the approval page", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "this form is too large or broken", http.StatusBadRequest)
			return
		}
		// The form names the grant it was made for, so a stale tab decides nothing.
		if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("grant")), []byte(c.Shown().GrantHash)) != 1 {
			http.Redirect(w, r, c.root+"/", http.StatusSeeOther)
			return
		}
		take(w, r)
	}
}

func (c *Console) show(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	view, decided := c.now.view, c.now.decided
	c.mu.Unlock()
	if decided {
		c.render(w, c.look.step, step{Style: c.root + "/style.css", Title: "Already decided", Text: "The terminal shows what came of it."})
		return
	}
	c.render(w, c.look.page, struct {
		View
		Root string
	}{view, c.root})
}

func (c *Console) css(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(c.look.style)
}

func (c *Console) takeNarrow(w http.ResponseWriter, r *http.Request) {
	var l Limits
	for _, name := range r.PostForm["channel"] {
		l.Channels = append(l.Channels, session.Channel(name))
	}
	seconds, err := time.ParseDuration(r.PostForm.Get("longest") + "s")
	if err == nil {
		l.Longest = seconds
	}
	l.NoCritical = r.PostForm.Get("critical") == ""
	view, err := c.narrow(l)
	c.mu.Lock()
	if c.now.decided {
		err = nil
	} else if err != nil {
		c.now.view.Problem = sentence(err)
	} else {
		c.now.view = view
	}
	c.mu.Unlock()
	http.Redirect(w, r, c.root+"/", http.StatusSeeOther)
}

func (c *Console) takeDecision(w http.ResponseWriter, r *http.Request) {
	d := Decision{Approve: r.PostForm.Get("decision") == "approve", Reason: strings.TrimSpace(r.PostForm.Get("reason"))}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !d.Approve && (!wording.Says(d.Reason) || r.PostForm.Get("decision") != "deny") {
		c.now.view.Problem = "Say why, so that the engineer knows what to do: for example when to ask again."
		http.Redirect(w, r, c.root+"/#deny", http.StatusSeeOther)
		return
	}
	if !c.now.decided {
		c.now.decided = true
		c.decisions <- d
	}
	if d.Approve {
		http.Redirect(w, r, c.root+"/next", http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, c.root+"/done", http.StatusSeeOther)
}

// next hands the browser over to the sign-in by a page of its own, because a
// redirect out of a form would need the provider's every host in form-action.
func (c *Console) next(w http.ResponseWriter, r *http.Request) {
	select {
	case <-c.leave:
	case <-c.finished:
		c.done(w, r)
		return
	case <-r.Context().Done():
		return
	case <-time.After(30 * time.Second):
		c.render(w, c.look.step, step{Style: c.root + "/style.css", Title: "One moment", Text: "Still reaching your sign-in.", Target: c.root + "/next"})
		return
	}
	c.mu.Lock()
	target := c.now.target
	c.mu.Unlock()
	c.render(w, c.look.step, step{Style: c.root + "/style.css", Doors: "requested", Title: "Now prove that it is you",
		Text: "Your hospital's sign-in opens. What you sign there covers exactly the grant you read.", Target: target, Label: "Go to the sign-in"})
}

func (c *Console) done(w http.ResponseWriter, r *http.Request) {
	select {
	case <-c.finished:
	case <-r.Context().Done():
		return
	case <-time.After(20 * time.Second):
		c.render(w, c.look.step, step{Style: c.root + "/style.css", Doors: "requested", Title: "Waiting for the hospital's agent",
			Text: "It checks your word now.", Target: c.root + "/done", Label: "Look again"})
		return
	}
	c.mu.Lock()
	o := c.now.outcome
	c.mu.Unlock()
	doors := "closed"
	if o.Good {
		doors = "open"
	}
	c.render(w, c.look.step, step{Style: c.root + "/style.css", Doors: doors, Title: o.Title, Text: o.Text, Last: true})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.told == nil {
		c.now.told = func() {}
	}
	c.now.told()
}

// step is a page between the decision and its end.
type step struct {
	Style, Doors, Title, Text string
	Target, Label             string
	Last                      bool
}

func (c *Console) render(w http.ResponseWriter, t *template.Template, data any) {
	if s, ok := data.(step); ok && s.Target != "" {
		w.Header().Set("Refresh", "0; url="+s.Target)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		http.Error(w, "the page could not be drawn; use the terminal", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func sentence(err error) string {
	var e *session.Error
	if errors.As(err, &e) {
		return strings.TrimSuffix(e.Message, ".") + ". " + e.Next
	}
	return "That is not possible."
}
