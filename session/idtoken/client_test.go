package idtoken_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// Whatever an identity provider says, or answers with a redirect, nobody of ours asks a
// machine that the configuration does not name.
func TestNobodyIsAskedWhoIsNotConfigured(t *testing.T) {
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(inside.Close)
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, inside.URL+"/secret", http.StatusTemporaryRedirect)
		}
	}))
	t.Cleanup(idp.Close)
	issuer := session.Issuer{URL: idp.URL, InsecureLoopback: true}
	ask := func(i session.Issuer, address string) (int, error) {
		resp, err := idtoken.Client(i, idtoken.Options{}).Post(address, "application/x-www-form-urlencoded", strings.NewReader("code=x"))
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	if status, err := ask(issuer, idp.URL+"/token"); err != nil || status != 200 {
		t.Fatalf("its own host: %d, %v", status, err)
	}
	if status, err := ask(issuer, idp.URL+"/away"); err != nil || status != http.StatusTemporaryRedirect {
		t.Errorf("a redirect: %d, %v", status, err)
	}
	if status, err := ask(issuer, inside.URL+"/token"); err == nil {
		t.Errorf("another machine: %d", status)
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
	issuer.Hosts = []string{strings.TrimPrefix(inside.URL, "http://")}
	if status, err := ask(issuer, inside.URL+"/token"); err != nil || status != 200 || reached.Load() != 1 {
		t.Errorf("one that is named: %d, %v", status, err)
	}
}
