package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/session"
)

// front is what a browser finds.
const front = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sallyport</title>
<h1>Sallyport</h1>
<p>Remote access for the service of medical scanners: disconnected by default, connected per approved session.
<p>This is the broker, where engineers and hospitals meet. Its people use the <code>sallyport</code> command:
<pre>sallyport login
sallyport assets
sallyport request new ASSET/SERVICE --reason ... --work-order ...
sallyport approve REQUEST</pre>
</html>
`

// pages registers what needs no sign-in and tells nothing: the front page, signs of
// life, the API's description, and the answer to everything else.
func (d *door) pages(mux *http.ServeMux, description []byte) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, front)
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", d.ready)
	mux.HandleFunc("GET /healthz", d.ready)
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(description)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		newProblem(http.StatusNotFound, session.Invalid, "There is nothing here.", "See /openapi.json.").write(w)
	})
}

// ready says whether everything works; ?verbose says what does not.
func (d *door) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	status, lines := http.StatusOK, ""
	for _, c := range d.Checks {
		word := "ok"
		if err := c.Works(ctx); err != nil {
			status, word = http.StatusServiceUnavailable, "failed"
			d.Log.Warn("not ready", "check", c.Name, "err", err)
		}
		lines += fmt.Sprintf("%s %s\n", c.Name, word)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if r.URL.Query().Has("verbose") {
		_, _ = io.WriteString(w, lines)
	}
	if status == http.StatusOK {
		_, _ = io.WriteString(w, "ok\n")
	} else {
		_, _ = io.WriteString(w, "not ready\n")
	}
}
