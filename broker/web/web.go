// Package web serves the browser's application: one page for every path, its files,
// and the security policy of each page. It knows files and headers, and nothing of
// requests, people or sessions: everything the application shows it asks of the API.
//
// The bundle is built by "make web" into dist and embedded from there; it is not part
// of the source. Without it the program still builds, and its one page says what to do.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// unbuilt is the page of a program that was built without its bundle.
const unbuilt = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sallyport</title>
<h1>Sallyport</h1>
<p>This broker works, but it was built without its web application.
<p>Build it with Node.js and start again:
<pre>make build</pre>
<p>The <code>sallyport</code> command does everything without it.
</html>
`

// unbuiltPlayer is the same on a person's own machine.
const unbuiltPlayer = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sallyport</title>
<h1>Sallyport</h1>
<p>This sallyport was built without its player.
<p>Build it with Node.js, or take pictures out of the recording:
<pre>make build
sallyport recordings export RECORDING --format contact-sheet -o FILE</pre>
</html>
`

// Pages answers for the application. Safe for concurrent use.
type Pages struct {
	files  map[string]file // by path, with the leading slash
	index  []byte          // the one document
	player []byte          // the document of Player
	live   string          // where its WebSockets go: wss://host
	frames string          // what watching pages may frame
}

// file is one file of the bundle, ready to be sent.
type file struct {
	plain, gz []byte
	kind      string // media type
	tag       string // entity tag
	forever   bool   // its name changes with its content
}

// New reads the embedded bundle. base is the broker's URL as people type it.
func New(base string) (*Pages, error) {
	root, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, err
	}
	return open(root, base)
}

func open(root fs.FS, base string) (*Pages, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("read the broker's URL: %w", err)
	}
	p := &Pages{files: map[string]file{}, live: "wss://" + u.Host, frames: "'self' https:"}
	if u.Scheme == "http" { // on loopback, and so are identity providers
		p.live, p.frames = "ws://"+u.Host, "'self' https: http://127.0.0.1:* http://localhost:*"
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(name, ".vite/") {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if name == "index.html" {
			p.index = content
			return nil
		}
		if name == "play.html" {
			p.player = content
			return nil
		}
		p.files["/"+name] = ready(name, content)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the web application: %w", err)
	}
	return p, nil
}

func ready(name string, content []byte) file {
	sum := sha256.Sum256(content)
	f := file{plain: content, kind: mediaType(name), tag: `"` + hex.EncodeToString(sum[:12]) + `"`, forever: strings.HasPrefix(name, "static/")}
	if compressible := strings.HasPrefix(f.kind, "text/") || strings.HasSuffix(f.kind, "+xml"); compressible && len(content) > 1024 {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
		_, _ = w.Write(content)                               // to memory
		_ = w.Close()
		f.gz = b.Bytes()
	}
	return f
}

// mediaType does not ask the machine's own tables, which differ.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".png":
		return "image/png"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// ServeHTTP sends a file of the bundle, or the document: which page a path is, the
// document's own script decides.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Pages are only read.", http.StatusMethodNotAllowed)
		return
	}
	if f, ok := p.files[r.URL.Path]; ok {
		f.send(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/static/") {
		http.Error(w, "This file is of another version. Load the page again.", http.StatusNotFound)
		return
	}
	p.document(w, r)
}

func (f file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.plain
	if f.gz != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gz
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // whoever hung up needs no answer
	}
}

// document sends the one page with the policy of its path.
func (p *Pages) document(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	body, nonce := p.index, ""
	switch {
	case body == nil:
		body = []byte(unbuilt)
	case drawsTerminal(r.URL.Path):
		nonce = rand.Text()
		h.Set("Cache-Control", "no-store")
		body = bytes.Replace(body, []byte(nonceMark), []byte(`<meta name="style-nonce" content="`+nonce+`"`), 1)
	}
	h.Set("Content-Security-Policy", p.policy(nonce, strings.HasPrefix(r.URL.Path, watchPath)))
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}

// Player sends the document of the player that stands alone, on a person's own machine. Its files are those of ServeHTTP, its policy the
// strictest: it draws no terminal, and speaks to nobody but the address it came from.
func (p *Pages) Player(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", p.policy("", false))
	body := p.player
	if body == nil {
		body = []byte(unbuiltPlayer)
	}
	_, _ = w.Write(body)
}

// nonceMark is where the document takes the nonce of its styles.
const nonceMark = `<meta name="style-nonce" content=""`

// drawsTerminal reports whether a page draws a terminal, whose library writes style
// elements while it runs: the live terminal and the player of recordings.
func drawsTerminal(at string) bool {
	return strings.HasPrefix(at, "/terminal/") || strings.HasPrefix(at, watchPath) || strings.HasPrefix(at, "/recordings/") && len(at) > len("/recordings/")
}

// watchPath is where sessions are watched. Only there people are signed in again without
// a word, in a frame of their identity provider's.
const watchPath = "/watch/"

// policy is a page's Content-Security-Policy. Only pages that draw a terminal take
// styles besides the bundle's own, and only those that carry the answer's nonce.
func (p *Pages) policy(nonce string, frames bool) string {
	style := "'self'"
	if nonce != "" {
		style += " 'nonce-" + nonce + "'"
	}
	frame := "'none'"
	if frames {
		frame = p.frames
	}
	return strings.Join([]string{
		"default-src 'none'",
		"frame-src " + frame,
		"script-src 'self'",
		"style-src " + style,
		"img-src 'self'",
		"font-src 'self'",
		"connect-src 'self' " + p.live,
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types svelte-trusted-html",
	}, "; ")
}
