package api

import (
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
)

// AuthOptions is how people can sign in by browser.
type AuthOptions struct {
	Demo     bool      `json:"demo"`
	Personas []Persona `json:"personas"`
}

// Persona is somebody whom anybody may be, in a demonstration.
type Persona struct {
	Key   string       `json:"key"`
	Name  string       `json:"name"`
	Email string       `json:"email"`
	Title string       `json:"title"`
	Role  session.Role `json:"role"`
}

// LoginStart asks for the way to an identity provider.
type LoginStart struct {
	Email   string `json:"email,omitempty"`
	Persona string `json:"persona,omitempty"`
	Return  string `json:"return"` // local path to come back to
}

// Departure is the way to an identity provider.
type Departure struct {
	URL string `json:"url"`
}

// ProofStart says what a nonce-bound round trip is for. The page made key, document,
// salt and nonce.
type ProofStart struct {
	Role     string `json:"role"`         // request, activate, approve, watch
	ID       string `json:"id,omitempty"` // R-..., of watch S-...
	Document []byte `json:"document,omitempty"`
	Key      string `json:"key,omitempty"`
	Salt     []byte `json:"salt"`
	Nonce    string `json:"nonce"`
	Popup    bool   `json:"popup"`
	Silent   bool   `json:"silent,omitempty"` // of watch: nobody is asked anything
}

// Outcome is what became of a round trip.
type Outcome struct {
	OK       bool     `json:"ok"`
	Role     string   `json:"role"`    // login, request, activate, approve, watch
	Request  string   `json:"request"` // R-..., of watch S-..., or empty
	Admitted bool     `json:"admitted"`
	Popup    bool     `json:"popup"`
	Return   string   `json:"return"`
	Problem  *Problem `json:"problem"`
	// Until is when a leave to watch is over.
	Until *time.Time `json:"until,omitempty"`
}

// LoginEntry is where a person is signed in.
type LoginEntry struct {
	ID      string              `json:"id"`
	Client  session.ClientClass `json:"client"` // web or cli
	Agent   string              `json:"agent"`  // browser and system in words
	Created time.Time           `json:"created"`
	Seen    time.Time           `json:"seen"`
	Current bool                `json:"current"`
}

// EndLogins ends one login, or all of them.
type EndLogins struct {
	ID         string `json:"id,omitempty" maxLength:"64"`
	Everywhere bool   `json:"everywhere,omitempty"`
}

// inWords names a browser and its system, for people who look for a login that is not
// theirs. It is a guess from what the browser says of itself, and decides nothing.
func inWords(agent string) string {
	first := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(agent, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := first("Edg", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "FxiOS/", "Firefox", "CriOS/", "Chrome",
		"Chromium/", "Chromium", "Chrome/", "Chrome", "Safari/", "Safari")
	system := first("iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows", "CrOS", "ChromeOS", "Mac OS X", "macOS", "Linux", "Linux")
	switch {
	case browser == "" && system == "":
		return "Another browser"
	case system == "":
		return browser
	case browser == "":
		return "A browser on " + system
	}
	return browser + " on " + system
}
