package page

import (
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/session"
)

// Waiting is a session that waits for the operator's consent.
type Waiting struct {
	Session, Asset, Service string
	Who, Company            string
	Reason, WorkOrder       string
	Work                    string   // what they may do, in words
	Longest                 string   // "30 min"
	Code                    []string // digits to read out; none where the engineer is asked for no code
	Until                   time.Time
}

// Digits are a code as it is shown and read out.
func Digits(code string) []string {
	if code == "" {
		return nil
	}
	return strings.Split(code, "")
}

// consent is the operator's answer. To let somebody in needs a sign-in, to refuse does not.
func (p *page) consent(w http.ResponseWriter, r *http.Request) {
	fields, err := form(r, "session", "answer")
	a := console.Answer{Session: fields["session"], Accept: fields["answer"] == "accept"}
	switch {
	case err != nil:
	case !a.Accept && fields["answer"] != "refuse":
		err = session.Errorf(session.Invalid, "That is no answer.").WithNext("Open the page again.")
	case a.Accept && !p.signIns.known(r, true):
		err = session.Errorf(session.Denied, "To accept needs a sign-in.").WithNext("Sign in with the PIN and press again.")
	default:
		_, err = p.cfg.Consents.Answer(a, session.ByPage)
	}
	p.cfg.Log.Info("pressed on the agent's page", "what", "consent", "session", a.Session, "accept", a.Accept, "from", r.RemoteAddr, "err", err)
	if err != nil {
		p.show(w, r, err)
		return
	}
	http.Redirect(w, r, "/?done="+fields["answer"], http.StatusSeeOther)
}
