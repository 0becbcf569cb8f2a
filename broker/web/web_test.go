package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// bundle is an application as the build leaves it.
func bundle() fstest.MapFS {
	return fstest.MapFS{
		".keep":               {},
		".vite/manifest.json": {Data: []byte("{}")},
		"index.html":          {Data: []byte(`<html><meta name="style-nonce" content="" /><script type="module" src="/static/index-abc.js"></script></html>`)},
		"static/index-abc.js": {Data: []byte(strings.Repeat("console.log(1);", 200))},
		"doors.svg":           {Data: []byte("<svg/>")},
	}
}

func pages(t *testing.T, files fstest.MapFS) *Pages {
	t.Helper()
	p, err := open(files, "https://broker.example.org")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ask(p *Pages, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result()
}

func TestEveryPathIsTheDocument(t *testing.T) {
	p := pages(t, bundle())
	for _, path := range []string{"/", "/inbox", "/requests/R-ABC", "/no/such/page", "/recordings", "/recordings/", "/index.html"} {
		a := ask(p, "GET", path)
		body, _ := io.ReadAll(a.Body)
		if a.StatusCode != 200 || !bytes.Contains(body, []byte("index-abc.js")) {
			t.Errorf("%s: %d %q", path, a.StatusCode, body)
		}
		if policy := a.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || strings.Contains(policy, "nonce") {
			t.Errorf("%s is looser than it needs: %s", path, policy)
		}
	}
}

func TestOnlyTerminalsLoosenStyle(t *testing.T) {
	p := pages(t, bundle())
	seen := map[string]bool{}
	for _, path := range []string{"/terminal/NGH-PETCT1/recon-ssh", "/recordings/V-ABC", "/recordings/V-ABC"} {
		a := ask(p, "GET", path)
		body, _ := io.ReadAll(a.Body)
		_, rest, ok := strings.Cut(a.Header.Get("Content-Security-Policy"), "style-src 'self' 'nonce-")
		nonce, _, closed := strings.Cut(rest, "'")
		if !ok || !closed || len(nonce) < 26 || seen[nonce] {
			t.Fatalf("%s: nonce %q of %s", path, nonce, a.Header.Get("Content-Security-Policy"))
		}
		seen[nonce] = true
		if !bytes.Contains(body, []byte(`content="`+nonce+`"`)) {
			t.Errorf("%s: the document does not know its nonce: %s", path, body)
		}
		if a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: a nonce is kept: %s", path, a.Header.Get("Cache-Control"))
		}
	}
}

func TestFilesAreSentOnceAndSmall(t *testing.T) {
	p := pages(t, bundle())
	plain := ask(p, "GET", "/static/index-abc.js")
	whole, _ := io.ReadAll(plain.Body)
	if plain.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || plain.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("headers: %v", plain.Header)
	}
	packed := ask(p, "GET", "/static/index-abc.js", "Accept-Encoding", "br, gzip")
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := io.ReadAll(z); !bytes.Equal(again, whole) || packed.ContentLength >= plain.ContentLength {
		t.Errorf("packed: %d of %d bytes, equal %t", packed.ContentLength, plain.ContentLength, bytes.Equal(again, whole))
	}
	if again := ask(p, "GET", "/static/index-abc.js", "If-None-Match", plain.Header.Get("ETag")); again.StatusCode != 304 {
		t.Errorf("asked with its tag: %d", again.StatusCode)
	}
	if icon := ask(p, "GET", "/doors.svg"); icon.Header.Get("Cache-Control") != "no-cache" || icon.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("a file whose name stays: %v", icon.Header)
	}
}

func TestWhatIsRefused(t *testing.T) {
	p := pages(t, bundle())
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/", 405},
		{"DELETE", "/static/index-abc.js", 405},
		{"GET", "/static/index-of-last-week.js", 404},
		{"GET", "/static/../web.go", 404},
	} {
		if a := ask(p, c.method, c.path); a.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, a.StatusCode, c.status)
		}
	}
	for _, hidden := range []string{"/.keep", "/.vite/manifest.json"} {
		if body, _ := io.ReadAll(ask(p, "GET", hidden).Body); !bytes.Contains(body, []byte("index-abc.js")) {
			t.Errorf("%s is sent: %q", hidden, body)
		}
	}
}

func TestWithoutItsBundleThePageSaysHowToBuildIt(t *testing.T) {
	p := pages(t, fstest.MapFS{".keep": {}})
	a := ask(p, "GET", "/inbox")
	body, _ := io.ReadAll(a.Body)
	if a.StatusCode != 200 || !bytes.Contains(body, []byte("make build")) {
		t.Errorf("%d %s", a.StatusCode, body)
	}
}
