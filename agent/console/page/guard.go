package page

import (
	"mime"
	"net/http"
	"net/netip"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// headers let a page do nothing but what stands in it.
func headers() map[string]string {
	return map[string]string{
		"Content-Security-Policy":      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "same-origin", // a form without an origin would not count
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), microphone=(), geolocation=()",
		"Cache-Control":                "no-store",
	}
}

// guarded answers only who asks for this page by its name, and only forms of its own.
func (p *page) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers() {
			w.Header().Set(name, value)
		}
		switch {
		case !slices.Contains(p.hosts, r.Host):
			p.refuse(w, session.Errorf(session.Denied, "This is not the address of the page.").WithNext("Open "+p.cfg.Settings.URL()+"."))
		case r.Method != http.MethodGet && !fromHere(r):
			p.refuse(w, session.Errorf(session.Denied, "This did not come from the page itself, so nothing was done.").WithNext("Open the page and press there."))
		default:
			most := int64(maxForm)
			if byKey(r.URL.Path) {
				most = maxKeyForm
			}
			r.Body = http.MaxBytesReader(w, r.Body, most)
			next.ServeHTTP(w, r)
		}
	})
}

// fromHere reports whether the browser says that a form was sent from this page. One that
// says nothing is not believed.
func fromHere(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	switch {
	case site != "" && site != "same-origin":
		return false
	case origin == "":
		return site == "same-origin"
	}
	return origin == "https://"+r.Host
}

// refuse answers what is not for this page, in one plain sentence.
func (p *page) refuse(w http.ResponseWriter, e *session.Error) {
	http.Error(w, e.Message+" "+e.Next, e.Kind.Status())
}

// form reads a form of which each known field stands at most once, and no other.
func form(r *http.Request, fields ...string) (map[string]string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || r.ParseForm() != nil {
		return nil, session.Errorf(session.Invalid, "The form cannot be read.").WithNext("Open the page again.")
	}
	got := map[string]string{}
	for name, values := range r.PostForm {
		if len(values) != 1 || !slices.Contains(fields, name) {
			return nil, session.Errorf(session.Invalid, "The form has a field that does not belong in it.").WithNext("Open the page again.")
		}
		got[name] = values[0]
	}
	return got, nil
}

// from is the address that a request came from.
func from(r *http.Request) netip.Addr {
	addr, _ := netip.ParseAddrPort(r.RemoteAddr)
	return addr.Addr().Unmap()
}
