package roundtrip

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session/secret"
)

// What an issuer's entry says about sign-ins reaches the issuer, and the client's secret
// its token endpoint alone.
func TestSignInsAsTheEntrySays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("s3cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(issuers []identity.Issuer) {
		i := &issuers[0]
		i.Scopes, i.Parameters, i.ResponseMode = []string{"openid", "groups"}, map[string]string{"acr_values": "phr"}, "form_post"
		var err error
		if i.Secret, err = secret.Parse("file:" + file); err != nil {
			t.Fatal(err)
		}
	})
	b := w.browser()
	address := b.leave(engineer, "/live")
	u, err := url.Parse(address)
	w.must(err)
	q := u.Query()
	if q.Get("scope") != "openid groups" || q.Get("acr_values") != "phr" || q.Get("response_mode") != "form_post" || strings.Contains(address, "s3cr3t") {
		t.Errorf("sent to %s", address)
	}
	var came atomic.Int32
	w.vendor.say(func(rw http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_secret") == "s3cr3t" && r.FormValue("client_id") == "sallyport-web" {
			came.Add(1)
		}
		r.PostForm.Del("client_secret") // the development provider knows no secrets
		r.Body = io.NopCloser(strings.NewReader(r.PostForm.Encode()))
		r.Form, r.PostForm = nil, nil
		w.vendor.Provider.ServeHTTP(rw, r)
	})
	q.Set("response_mode", "query") // what the provider's form would post, it tells us by query
	u.RawQuery = q.Encode()
	form := b.visit(u.String())
	form.Set("extra", "a b&c=d")
	post := func(r *http.Request) {
		body := strings.NewReader(form.Encode())
		fresh, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), body)
		w.must(err)
		// Another site's form: no cookie of ours that is Lax or Strict comes along.
		fresh.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		fresh.Header.Set("Origin", w.vendor.Issuer())
		fresh.Header.Set("Sec-Fetch-Site", "cross-site")
		*r = *fresh
	}
	a := b.call("POST", b.door, nil, post)
	to := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(to, b.door+"?") || len(b.cookies) != 1 {
		t.Fatalf("the posted answer: %d %s %s", a.status, to, a.body)
	}
	if again := b.call("GET", to, nil); again.header.Get("Location") != "/live" || !b.in() || came.Load() != 1 {
		t.Errorf("ends at %s, the secret came %d times", again.header.Get("Location"), came.Load())
	}
	if strings.Contains(w.log.String(), "s3cr3t") {
		t.Error("the secret is in the log")
	}
	// A posted answer is good once, too, and for the browser that left.
	if again := b.call("GET", to, nil); !strings.HasPrefix(again.header.Get("Location"), "/signin?problem=") {
		t.Errorf("used twice: %s", again.header.Get("Location"))
	}
	form.Set("x", strings.Repeat("x", 9<<10))
	if a := b.call("POST", b.door, nil, post); a.status == http.StatusSeeOther {
		t.Error("an endless form is sent on")
	}
}
