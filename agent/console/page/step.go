package page

import (
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/session"
)

// step is a page between two others.
type step struct {
	Site, Title, Text string
	Bad               bool
	Target, Label     string
	On                bool // it goes on by itself
}

func (p *page) step(w http.ResponseWriter, status int, s step) {
	s.Site = p.boards.fresh(liveEvery).Site
	if s.On {
		w.Header().Set("Refresh", "0; url="+s.Target)
	}
	p.draw(w, status, "step", s)
}

// stop says on a page of its own what went wrong.
func (p *page) stop(w http.ResponseWriter, title string, err error) {
	e := sentence(err)
	p.step(w, e.Kind.Status(), step{Title: title, Text: e.Message + " " + e.Next, Bad: true, Target: "/", Label: "Back to the page"})
}

func (p *page) draw(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := templates.ExecuteTemplate(w, name, data); err != nil {
		p.cfg.Log.Debug("the agent's page was not read to its end", "err", err)
	}
}

// sentence is what went wrong, in words.
func sentence(err error) *session.Error {
	e := &session.Error{Kind: session.Internal, Message: "It could not be done.", Next: "The agent's log has the details. Press again."}
	_ = errors.As(err, &e)
	return e
}
