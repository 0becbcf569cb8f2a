package devidp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ask is an authorization request that may be answered by a redirect: its client
// and redirect URI have been checked.
type ask struct {
	client    Client
	redirect  string
	state     string
	nonce     string
	challenge string
	scope     string
	hint      string
	none      bool          // prompt=none
	login     bool          // prompt=login, or max_age of 0 or 1
	maxAge    time.Duration // of an earlier login; < 0: any
}

// refusal is an OAuth error: code for the program, text for its author.
type refusal struct{ code, text string }

// authorize is the front door. The page it may show posts the chosen person back to
// the same URL, so that nothing is kept here meanwhile and back and reload just work.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.page.fail(w, http.StatusBadRequest, "This sign-in link could not be read.")
		return
	}
	a, trouble := p.addressee(r.Form)
	if trouble != "" {
		// Nothing about the client can be trusted yet: no redirect.
		p.page.fail(w, http.StatusBadRequest, trouble)
		return
	}
	if no := a.read(r.Form); no.code != "" {
		p.bounce(w, r, a, url.Values{"error": {no.code}, "error_description": {no.text}})
		return
	}
	chosen := r.PostForm.Get("person")
	if r.Method == http.MethodPost && chosen != "" && !a.none {
		who, ok := p.person(chosen)
		if !ok {
			p.page.fail(w, http.StatusBadRequest, "Nobody by that name can sign in here.")
			return
		}
		p.grant(w, r, a, who, p.signIn(w, who))
		return
	}
	p.unasked(w, r, a)
}

// unasked answers without a choice on the page: by the running session, by the hint,
// or with the page.
func (p *Provider) unasked(w http.ResponseWriter, r *http.Request, a ask) {
	hinted, known := p.hinted(a.hint)
	sess, live := p.session(r)
	who, exists := p.person(sess.sub)
	reusable := live && exists && !a.login && (a.hint == "" || known && hinted.Sub == who.Sub) &&
		(a.maxAge < 0 || p.cfg.Now().Sub(sess.at) <= a.maxAge)
	switch {
	case a.none && a.client.Native:
		// RFC 8252 8.6: any program on the machine could ask in silence.
		p.bounce(w, r, a, url.Values{"error": {"interaction_required"}, "error_description": {"a native client cannot sign anybody in silently"}})
	case reusable:
		p.grant(w, r, a, who, sess.at)
	case a.none:
		p.bounce(w, r, a, url.Values{"error": {"login_required"}, "error_description": {"nobody is signed in recently enough"}})
	case known:
		p.grant(w, r, a, hinted, p.signIn(w, hinted))
	default:
		p.page.choose(w, p.choice(r, a, sess.sub))
	}
}

// addressee finds the client and the redirect URI; trouble is a sentence for the page.
func (p *Provider) addressee(form url.Values) (a ask, trouble string) {
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if len(form[name]) > 1 && (name == "client_id" || name == "redirect_uri") {
			return ask{}, "This sign-in link names two applications or two addresses to return to."
		}
	}
	c, ok := p.clients[form.Get("client_id")]
	if !ok {
		return ask{}, "The application that sent you here is not known to this sign-in."
	}
	redirect := form.Get("redirect_uri")
	if len(redirect) > maxParam || !c.mayRedirect(redirect) {
		return ask{}, "The application that sent you here asked to return to an address that is not its own."
	}
	return ask{client: c, redirect: redirect, state: clip(form.Get("state"))}, ""
}

// read takes the rest of the request, strictly.
func (a *ask) read(form url.Values) refusal {
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if len(form[name]) > 1 || len(form.Get(name)) > maxParam {
			return refusal{"invalid_request", name + " is repeated or too long"}
		}
	}
	a.nonce, a.hint, a.scope = form.Get("nonce"), form.Get("login_hint"), form.Get("scope")
	a.challenge = form.Get("code_challenge")
	switch mode := form.Get("response_mode"); {
	case form.Has("request"):
		return refusal{"request_not_supported", "request objects are not supported"}
	case form.Has("request_uri"):
		return refusal{"request_uri_not_supported", "request objects are not supported"}
	case form.Get("response_type") == "":
		return refusal{"invalid_request", "response_type is missing"}
	case form.Get("response_type") != "code":
		return refusal{"unsupported_response_type", "only the authorization code flow exists here"}
	case mode != "" && mode != "query":
		return refusal{"invalid_request", "response_mode must be query"}
	case !slices.Contains(strings.Fields(a.scope), "openid"):
		return refusal{"invalid_scope", "scope must contain openid"}
	case a.challenge == "":
		return refusal{"invalid_request", "code_challenge is required"}
	case form.Get("code_challenge_method") != "S256":
		return refusal{"invalid_request", "code_challenge_method must be S256"}
	case !isChallenge(a.challenge):
		return refusal{"invalid_request", "code_challenge is not a SHA-256 in base64url"}
	}
	return a.readFreshness(form)
}

// readFreshness takes prompt and max_age.
func (a *ask) readFreshness(form url.Values) refusal {
	prompts := strings.Fields(form.Get("prompt"))
	for _, word := range prompts {
		switch word {
		case "none":
			a.none = true
		case "login", "select_account":
			a.login = true
		case "consent": // nothing to consent to
		default:
			return refusal{"invalid_request", "unknown prompt"}
		}
	}
	if a.none && len(prompts) > 1 {
		return refusal{"invalid_request", "prompt=none stands alone"}
	}
	a.maxAge = -1
	if form.Has("max_age") {
		n, err := strconv.ParseUint(form.Get("max_age"), 10, 31)
		if err != nil {
			return refusal{"invalid_request", "max_age must be a number of seconds"}
		}
		a.maxAge = time.Duration(n) * time.Second
		a.login = a.login || n <= 1
	}
	return refusal{}
}

// grant sends the browser back with a code.
func (p *Provider) grant(w http.ResponseWriter, r *http.Request, a ask, who Person, authTime time.Time) {
	secret, ok := p.putCode(code{
		client: a.client.ID, redirect: a.redirect, challenge: a.challenge, nonce: a.nonce,
		scope: a.scope, sub: who.Sub, authTime: authTime, ends: p.cfg.Now().Add(codeLife),
	})
	if !ok {
		p.bounce(w, r, a, url.Values{"error": {"temporarily_unavailable"}, "error_description": {"too many sign-ins at once"}})
		return
	}
	p.cfg.Log.Info("signed in", "user", who.Email, "client", a.client.ID)
	p.bounce(w, r, a, url.Values{"code": {secret}})
}

// bounce redirects to the client with state and, as RFC 9207 asks, our name.
func (p *Provider) bounce(w http.ResponseWriter, r *http.Request, a ask, answer url.Values) {
	if a.state != "" {
		answer.Set("state", a.state)
	}
	answer.Set("iss", p.cfg.Issuer)
	sep := "?"
	if strings.Contains(a.redirect, "?") {
		sep = "&"
	}
	http.Redirect(w, r, a.redirect+sep+answer.Encode(), http.StatusSeeOther)
}

// signIn starts a browser session and returns its auth_time.
func (p *Provider) signIn(w http.ResponseWriter, who Person) time.Time {
	now := p.cfg.Now()
	secret := rand.Text()
	p.mu.Lock()
	maps.DeleteFunc(p.sessions, func(_ string, s signedIn) bool { return now.After(s.ends) })
	for k := range p.sessions { // full of live ones: anybody's goes
		if len(p.sessions) < maxSessions {
			break
		}
		delete(p.sessions, k)
	}
	p.sessions[hashed(secret)] = signedIn{who.Sub, now, now.Add(sessionLife)}
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{
		Name: p.cookie, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(p.cfg.Issuer, "https:"), MaxAge: int(sessionLife / time.Second),
	})
	return now
}

// session is the browser's running session, if there is one.
func (p *Provider) session(r *http.Request) (signedIn, bool) {
	c, err := r.Cookie(p.cookie)
	if err != nil {
		return signedIn{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.sessions[hashed(c.Value)]
	if !ok || p.cfg.Now().After(s.ends) {
		return signedIn{}, false
	}
	return s, true
}

// mayRedirect reports whether a code for the client may go to raw.
func (c Client) mayRedirect(raw string) bool {
	if !c.Native {
		return slices.Contains(c.Redirects, raw)
	}
	if strings.HasPrefix(raw, "https://") {
		return slices.Contains(c.Redirects, raw)
	}
	path, ok := loopbackPath(raw)
	return ok && (len(c.Redirects) == 0 || slices.Contains(c.Redirects, path))
}

// loopbackPath is the path of http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH.
// Every other spelling is refused, names and other loopback addresses included.
func loopbackPath(raw string) (string, bool) {
	rest, ok := strings.CutPrefix(raw, "http://127.0.0.1:")
	if !ok {
		if rest, ok = strings.CutPrefix(raw, "http://[::1]:"); !ok {
			return "", false
		}
	}
	port, path, ok := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", false
	}
	for _, r := range path {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.~/", r)
		if !plain {
			return "", false
		}
	}
	return "/" + path, true
}

// isChallenge reports whether s is 32 bytes in unpadded base64url.
func isChallenge(s string) bool {
	if len(s) != 43 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

func clip(s string) string { return s[:min(len(s), maxParam)] }

// hashed keys the maps of secrets, so that a lookup's timing tells nothing of them.
func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
