package page

import (
	"context"
	"crypto/tls"
	"embed"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// Config is everything that a page needs. All fields are mandatory.
type Config struct {
	Settings Settings
	Kept     string // file of the certificate that the agent makes
	Controls console.Controls
	States   console.States
	Consents console.Consents
	Board    func() Board
	// Picture is a session's screen as PNG, with its masks; nil: there is none.
	Picture func(session string) []byte
	// Provider and Decisions are for people who sign in by name; nil: nobody does.
	Provider  Provider
	Decisions Decisions
	Keys      *Keys // nil: there are no passkeys
	Now       func() time.Time
	Log       *slog.Logger
}

//go:embed page.html consent.html asked.html critical.html decide.html step.html passkeys.html page.css page.js passkey.js
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"clock": func(t time.Time) string { return t.Format("15:04") },
	"left":  left,
	"ago":   ago,
	"shown": firstOf,
	"both": func(v view, a Asset) any {
		return struct {
			View  view
			Asset Asset
		}{v, a}
	},
	"waits": func(v view, w Waiting) any {
		return struct {
			View    view
			Waiting Waiting
		}{v, w}
	},
}).ParseFS(files, "page.html", "consent.html", "asked.html", "critical.html", "decide.html", "step.html", "passkeys.html"))

// page is one that is being served.
type page struct {
	cfg     Config
	hosts   []string // as browsers write them
	signIns *signIns
	trips   *trips
	asks    *asks // for passkeys that sign in
	boards  *boards
	streams chan struct{}
	drawing chan struct{}
	over    <-chan struct{} // the page is closing
}

// Serve answers at the address of the settings until ctx is done.
func Serve(ctx context.Context, cfg Config) error { return newPage(ctx, cfg).serve(ctx) }

func (p *page) serve(ctx context.Context) error {
	cfg := p.cfg
	certificate, err := cfg.Settings.certificate(cfg.Kept, cfg.Now(), true)
	if err != nil {
		return err
	}
	l, err := cfg.Settings.listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader, ConnState: moved, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}},
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true) // one request at a time on each connection, so a place is a person's
	cfg.Log.Info("the agent's page is open", "url", cfg.Settings.URL())
	in := inside{l, cfg.Settings.networks(), lobby.New(maxConnections, maxFromOne)}
	return console.Until(ctx, server, func() error { return server.ServeTLS(in, "", "") })
}

func newPage(ctx context.Context, cfg Config) *page {
	p := &page{cfg: cfg, streams: make(chan struct{}, maxStreams), drawing: make(chan struct{}, 1), boards: &boards{make: cfg.Board, now: cfg.Now}, over: ctx.Done(),
		signIns: newSignIns(cfg.Settings.right, cfg.Now), trips: newTrips(cfg.Now), asks: newAsks(cfg.Now)}
	if addr, err := cfg.Settings.address(); err == nil {
		for _, h := range cfg.Settings.hosts() {
			p.hosts = append(p.hosts, net.JoinHostPort(h, strconv.Itoa(int(addr.Port()))))
			if addr.Port() == 443 {
				p.hosts = append(p.hosts, bare(h))
			}
		}
	}
	return p
}

// bare is a host as browsers write it at the usual port.
func bare(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}

func (p *page) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { p.show(w, r, nil) })
	mux.Handle("GET /page.css", http.FileServerFS(files))
	mux.Handle("GET /page.js", http.FileServerFS(files))
	mux.HandleFunc("GET /live", p.live)
	mux.HandleFunc("GET /picture", p.picture)
	mux.HandleFunc("POST /stop", p.act("stopped", false, func(t console.Target) error { _, err := p.cfg.Controls.Kill(t); return err }))
	mux.HandleFunc("POST /freeze", p.act("frozen", false, func(t console.Target) error { _, err := p.cfg.Controls.Freeze(t); return err }))
	mux.HandleFunc("POST /thaw", p.act("thawed", true, func(t console.Target) error { _, err := p.cfg.Controls.Thaw(t); return err }))
	mux.HandleFunc("POST /state", p.setState)
	mux.HandleFunc("POST /consent", p.consent)
	mux.HandleFunc("POST /signin", p.signIn)
	mux.HandleFunc("POST /signout", p.signOut)
	if p.cfg.Provider != nil {
		mux.HandleFunc("POST /enter", p.enter)
		mux.HandleFunc("GET "+redirectPath, p.back)
		mux.HandleFunc("GET /decide", p.decide)
		mux.HandleFunc("POST /narrow", p.narrow)
		mux.HandleFunc("POST /approve", p.approve)
		mux.HandleFunc("POST /deny", p.deny)
	}
	if p.cfg.Keys != nil {
		p.handleKeys(mux)
	}
	return p.guarded(mux)
}

func (p *page) handleKeys(mux *http.ServeMux) {
	mux.Handle("GET /passkey.js", http.FileServerFS(files))
	mux.HandleFunc("GET /keyin", p.keyIn)
	mux.HandleFunc("POST /keyin", p.keyEnter)
	mux.HandleFunc("POST /press", p.press)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("POST /keys/fresh", p.fresh)
	mux.HandleFunc("POST /keys/register", p.register)
	mux.HandleFunc("POST /keys/remove", p.remove)
}

// act is one press of a button. It is done before anything else is looked at.
func (p *page) act(done string, signed bool, do func(console.Target) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if signed && !p.signIns.known(r, true) {
			p.show(w, r, session.Errorf(session.Denied, "That needs a sign-in.").WithNext("Sign in with the PIN and press again."))
			return
		}
		fields, err := form(r, "asset", "session", "all")
		t := console.Target{Asset: fields["asset"], Session: fields["session"], All: fields["all"] == "yes"}
		if err == nil {
			err = t.Check()
		}
		if err == nil {
			err = do(t)
		}
		p.cfg.Log.Info("pressed on the agent's page", "what", done, "asset", t.Asset, "session", t.Session, "all", t.All, "from", r.RemoteAddr, "err", err)
		if err != nil {
			p.show(w, r, err)
			return
		}
		http.Redirect(w, r, "/?done="+done, http.StatusSeeOther)
	}
}

// setState is the operator's switch. To say what restricts as much as before, or more, needs
// no sign-in.
func (p *page) setState(w http.ResponseWriter, r *http.Request) {
	fields, err := form(r, "asset", "state", "for")
	to := console.Switch{Asset: fields["asset"], State: session.ModalityState(fields["state"])}
	if err == nil && p.loosens(to) && !p.signIns.known(r, true) {
		err = session.Errorf(session.Denied, "To say that more is allowed needs a sign-in.").WithNext("Sign in with the PIN and press again.")
	}
	if err == nil {
		to.For, err = p.holds(to, fields["for"])
	}
	if err == nil {
		_, err = p.cfg.States.Set(to)
	}
	p.cfg.Log.Info("pressed on the agent's page", "what", "state", "asset", to.Asset, "state", string(to.State), "for", to.For, "from", r.RemoteAddr, "err", err)
	if err != nil {
		p.show(w, r, err)
		return
	}
	http.Redirect(w, r, "/?done=said", http.StatusSeeOther)
}

// loosens reports whether a scanner would be less restricted by its operator's word. What
// is not known here is for the agent to refuse.
func (p *page) loosens(to console.Switch) bool {
	for _, a := range p.boards.fresh(0).Assets {
		if a.Name == to.Asset && a.State != nil {
			return a.State.Loosens(to.State)
		}
	}
	return true
}

func (p *page) signIn(w http.ResponseWriter, r *http.Request) {
	fields, err := form(r, "pin")
	var token string
	if err == nil {
		token, err = p.signIns.try(r.Context(), from(r), fields["pin"])
	}
	if err != nil {
		p.cfg.Log.Warn("no sign-in at the agent's page", "from", r.RemoteAddr, "err", err)
		p.show(w, r, err)
		return
	}
	p.cfg.Log.Info("signed in at the agent's page", "from", r.RemoteAddr)
	p.welcome(w, token)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *page) signOut(w http.ResponseWriter, r *http.Request) {
	p.signIns.leave(r)
	http.SetCookie(w, &http.Cookie{Name: cookie, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *page) picture(w http.ResponseWriter, r *http.Request) {
	if !p.signIns.known(r, false) {
		p.refuse(w, session.Errorf(session.Denied, "That needs a sign-in.").WithNext("Sign in with the PIN."))
		return
	}
	select { // one is drawn at a time
	case p.drawing <- struct{}{}:
		defer func() { <-p.drawing }()
	case <-r.Context().Done():
		return
	}
	png := p.cfg.Picture(r.URL.Query().Get("session"))
	if png == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(png)
}

// view is what the page shows to one person.
type view struct {
	Board
	Signed  bool
	SignsIn bool // there is a PIN
	ByName  bool // people can sign in at the identity provider
	ByKey   bool // and by a passkey
	Visitor *Visitor
	Now     time.Time
	Done    string
	Problem *session.Error
}

func (p *page) viewOf(r *http.Request, act bool) view {
	who, _, signed := p.signIns.whose(r, act)
	v := view{Board: p.boards.fresh(liveEvery / 2), Signed: signed, Visitor: who, ByName: p.cfg.Provider != nil, ByKey: p.cfg.Keys != nil, SignsIn: !p.cfg.Settings.PIN.IsZero(), Now: p.cfg.Now()}
	if act {
		v.Board = p.boards.fresh(0) // what was pressed shows
	}
	return v
}

// show answers with the whole page, and with what went wrong.
func (p *page) show(w http.ResponseWriter, r *http.Request, err error) {
	v := p.viewOf(r, true)
	status := http.StatusOK
	if err != nil {
		v.Problem = sentence(err)
		status = v.Problem.Kind.Status()
	} else {
		v.Done = map[string]string{"stopped": "Stopped. The connections to the scanner are closed.", "frozen": "Frozen. Nothing more goes to the scanner.", "thawed": "Thawed.", "accept": "Accepted. The session opens.", "refuse": "Refused. Nothing was connected.", "said": "Said. What is frozen stays so until it is thawed.", "denied": "Refused. The engineer reads your reason."}[r.URL.Query().Get("done")]
	}
	p.draw(w, status, "page", v)
}
