package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
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
	mux.HandleFunc("/", d.elsewhere)
}

// elsewhere is a page of the application or nothing: below /api and /auth there are
// no pages, so that a program that mistypes a call does not read one.
func (d *door) elsewhere(w http.ResponseWriter, r *http.Request) {
	ours := strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/auth/")
	if d.Pages != nil && !ours && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		d.Pages.ServeHTTP(w, r)
		return
	}
	newProblem(http.StatusNotFound, session.Invalid, "There is nothing here.", "See /openapi.json.").write(w)
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
