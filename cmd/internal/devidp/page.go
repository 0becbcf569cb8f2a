package devidp

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// pages renders the two pages there are: choose a person, and what went wrong.
type pages struct {
	tmpl *template.Template
	csp  string
}

// choice is what the page for choosing shows.
type choice struct {
	Organisation string
	Client       string
	ReturnTo     string
	Hint         string // given, but nobody here
	Action       string // the same authorization request again
	People       []option
}

type option struct {
	Person
	Current bool // signed in in this browser already
	First   bool
}

type pageData struct {
	CSS     template.CSS
	Choice  *choice
	Trouble string
}

func loadPages() (pages, error) {
	tmpl, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return pages{}, fmt.Errorf("sign-in page: %w", err)
	}
	sum := sha256.Sum256([]byte(pageCSS))
	// No form-action: browsers apply it to the redirect after the form too, and that
	// goes to the client.
	return pages{tmpl, "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; frame-ancestors 'none'; base-uri 'none'"}, nil
}

// choice describes the page for an authorization request.
func (p *Provider) choice(r *http.Request, a ask, current string) choice {
	params := url.Values{}
	for name, values := range r.Form {
		if name != "person" {
			params[name] = values
		}
	}
	c := choice{
		Organisation: p.cfg.Name, Client: a.client.ID, Hint: a.hint,
		Action: p.cfg.Issuer + "/authorize?" + params.Encode(),
	}
	if u, err := url.Parse(a.redirect); err == nil {
		c.ReturnTo = u.Host
	}
	for i, person := range p.cfg.People {
		c.People = append(c.People, option{person, person.Sub == current, i == 0})
	}
	return c
}

func (g pages) choose(w http.ResponseWriter, c choice) {
	g.write(w, http.StatusOK, pageData{Choice: &c})
}

// fail says what went wrong where nothing may be redirected.
func (g pages) fail(w http.ResponseWriter, status int, sentence string) {
	g.write(w, status, pageData{Trouble: sentence})
}

func (g pages) write(w http.ResponseWriter, status int, d pageData) {
	d.CSS = template.CSS(pageCSS)
	var out bytes.Buffer
	if err := g.tmpl.Execute(&out, d); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", g.csp)
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the reader may have left
}
