package console

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session/wording"
)

// View is an approval as its approver reads it. Unless a field says otherwise it
// comes from documents and tokens that were verified on this machine.
type View struct {
	Request  string // R-...
	Scanner  string // NGH/NGH-PETCT1
	Label    string // the broker's description, unverified
	Services string // NGH/NGH-PETCT1/recon-ssh

	Who       Person
	Station   []Station // the corridor, engineer first
	Wants     []string  // plain lines, "use a command shell ..."
	Cautions  []string  // what an approver should know before saying yes
	Patients  []string  // how the scanner stands and what the class means in each state; the broker's word
	Reason    string    // the engineer's words, unverified
	WorkOrder string    // likewise
	Count     string    // "You are the first of two." Empty when one is enough.

	Longest  []Choice
	Channels []Choice
	Critical []Choice // critical sections, one choice; none: none were asked for
	Narrowed bool

	Checked   [][2]string // what was checked, and how
	SignIn    string      // the hospital's identity provider
	Documents []Document
	GrantHash string
	Problem   string // why the last click did nothing
}

// Person is the engineer. The name is their identity provider's word, the e-mail too, and
// one of its own domains, or empty.
type Person struct {
	Name, Email, Sub, Issuer string
	SignedIn                 string // "12:01 (3 min ago)"
}

// Shown is how to call somebody: by name, else e-mail, else subject.
func (p Person) Shown() string {
	return cmp.Or(p.Name, p.Email, p.Sub, "Somebody")
}

// Account is who that is for the provider, and whether it may give them an address.
func (p Person) Account() string {
	if p.Email != "" {
		return p.Email
	}
	return p.Sub + ", without an e-mail address that their identity provider may give"
}

// Station is one step of the corridor.
type Station struct {
	State string // "done", "now", "ahead"
	Title string
	Proof string
}

// Choice is one option an approver may leave out or pick.
type Choice struct {
	Value string
	Words string
	On    bool
}

// Document is exact bytes, for whoever wants to compare.
type Document struct {
	Title string
	Hash  string
	Text  string
}

// Write prints the view for a terminal.
func (v View) Write(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	clean := wording.Clean
	line("%s - request %s", clean(v.Services), clean(v.Request))
	line("")
	line("%s, %s", clean(v.Who.Shown()), clean(v.Who.Account()))
	line("signed in with %s, %s", clean(v.Who.Issuer), clean(v.Who.SignedIn))
	line("wants to")
	for _, s := range v.Wants {
		line("  - %s", clean(s))
	}
	line("because (the engineer's words, unverified)")
	line("  %s", clean(v.Reason))
	line("  work order %s", clean(v.WorkOrder))
	line("know before you approve")
	for _, s := range v.Cautions {
		line("  - %s", clean(s))
	}
	if v.Count != "" {
		line("  - %s", clean(v.Count))
	}
	line("patients first (as the broker says; the agent decides by what it knows itself)")
	for _, s := range v.Patients {
		line("  - %s", clean(s))
	}
	line("checked on this machine")
	for _, p := range v.Checked {
		line("  - %s: %s", clean(p[0]), clean(p[1]))
	}
	for _, d := range v.Documents {
		line("%s, SHA-256 %s", d.Title, d.Hash)
		line("  %s", clean(d.Text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Durations are the shorter limits worth offering below longest, longest last.
func Durations(longest, chosen time.Duration) []Choice {
	var list []Choice
	for _, m := range []int{5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480} {
		if d := time.Duration(m) * time.Minute; d < longest {
			list = append(list, duration(d, chosen))
		}
	}
	return append(list, duration(longest, chosen))
}

func duration(d, chosen time.Duration) Choice {
	return Choice{Value: fmt.Sprint(int64(d.Seconds())), Words: display.Span(d), On: d == chosen}
}
