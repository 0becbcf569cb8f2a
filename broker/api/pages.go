package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/session"
)

// pages registers what needs no sign-in and tells nothing: the application's pages and
// files, signs of life, the API's description, and the answer to everything else.
func (d *door) pages(mux *http.ServeMux, description []byte) {
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
	if d.Pages != nil {
		mux.Handle("GET /", d.Pages)
	}
	nothing := func(w http.ResponseWriter, _ *http.Request) {
		newProblem(http.StatusNotFound, session.Invalid, "There is nothing here.", "See /openapi.json.").write(w)
	}
	for _, path := range []string{"/", "/api/", "/auth/"} {
		mux.HandleFunc(path, nothing)
	}
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
