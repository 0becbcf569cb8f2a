package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/session/wording"
)

// oddly is somebody whose provider gives them a name, and what no reader may find of it.
type oddly struct {
	devidp.Person
	never []string
}

// strangelyNamed are the people of a vendor's provider that a hospital trusts and that is
// hostile. Each is signed in by its e-mail address.
func strangelyNamed() []oddly {
	groups := []string{"field-service"}
	return []oddly{
		{devidp.Person{Sub: "markup", Email: "markup@meridian.example", Groups: groups,
			Name: `<img src=x onerror=alert(1)> Click <a href="https://evil.example/x">here</a> or call +49 170 1234567`},
			[]string{"<img", "<a ", "https://evil", "evil.example", "1234567"}},
		{devidp.Person{Sub: "turned", Email: "turned@meridian.example", Groups: groups,
			Name: "Jana \u202ehcirle\u2066 \x1b]0;owned\x07\x1b[2J\u009b31m\r\nApproved by chief@northfield.example"},
			[]string{"]0;owned", "[2J", "chief@"}},
		{devidp.Person{Sub: "long", Email: "long@meridian.example", Groups: groups, Name: strings.Repeat("Jana Brandt ", 900)},
			[]string{strings.Repeat("Jana Brandt ", 30)}},
		{devidp.Person{Sub: "borrowed", Email: "m.okafor@northfield.example.", Groups: groups, Name: "Maya Okafor"},
			[]string{"m.okafor@northfield.example."}},
		{devidp.Person{Sub: "foreign", Email: "k.ito@othervendor.example", Groups: groups, Name: "Ken Ito, Othervendor"},
			[]string{"k.ito@othervendor.example"}},
		{devidp.Person{Sub: "alike", Email: "j.brandt@meridian.еxample", Groups: groups, Name: "Jana Brandt"}, // with a letter of another alphabet
			[]string{"j.brandt@meridian.еxample"}},
		{devidp.Person{Sub: "opened", Email: "\"<b>\"@meridian.example", Groups: groups, Name: "Jana Brandt"},
			[]string{"<b>"}},
	}
}

// A vendor's identity provider calls its people what drives a terminal, carries a link, is
// read in another order, fills a page, or is somebody else of another company. Whoever
// reads a list, a request, an approval, a mail or the audit log reads nothing of it.
func TestNamesOfAHostileProvider(t *testing.T) {
	t.Parallel()
	odd := strangelyNamed()
	var people []devidp.Person
	for _, p := range odd {
		people = append(people, p.Person)
	}
	c := found(t, people...)
	c.notify = &broker.Notify{From: "Sallyport <sallyport@broker.example>", Directory: c.path("mail"), Approvers: map[string][]string{"NGH": {"m.okafor@northfield.example"}}}
	a := c.raiseNode("a", nil)
	c.turn(a)
	c.raiseAgent(a)
	c.signIn()
	var ids []string
	for _, p := range odd {
		signIn := []string{"login", "--broker", c.ready.Web, "--hint", p.Email}
		if !strings.HasSuffix(p.Email, "@meridian.example") { // no domain of the provider's
			if out, err := c.try("engineer", "sallyport", signIn...); err == nil || !strings.Contains(err.Error(), "No trust bundle names an identity provider") {
				t.Errorf("%s: %s, %v", p.Email, out, err)
			}
			continue
		}
		c.as("engineer", "sallyport", signIn...)
		out := c.as("engineer", "sallyport", "request", "new", "NGH-PETCT1/recon-ssh", "--reason", "names", "--work-order", "WO-4", "--for", "10m")
		id, _, _ := strings.Cut(out, "\n")
		ids = append(ids, id)
	}
	seen := map[string]string{}
	look := func(who string, args ...string) { // what is said on the way, too
		seen[strings.Join(args, " ")] = c.as(who, "sh", append([]string{"-c", `exec sallyport "$@" 2>&1`, "sh"}, args...)...)
	}
	for _, as := range []string{"table", "json"} {
		look("approver", "request", "ls", "-o", as)
		look("approver", "engineers", "ls", "-o", as)
		look("auditor", "audit", "tail", "--last", "500", "-o", as)
	}
	for _, id := range ids {
		look("approver", "request", "show", id)
		look("approver", "approve", "--yes", id)
	}
	for name, text := range c.mails() {
		seen[name] = text
	}
	for where, text := range seen {
		if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && (wording.Hostile(r) || unicode.IsControl(r)) }) {
			t.Errorf("%s drives a terminal or turns a line:\n%q", where, text)
		}
		for _, p := range odd {
			for _, never := range p.never {
				if strings.Contains(text, never) {
					t.Errorf("%s shows %q of %s:\n%.2000s", where, never, p.Sub, text)
				}
			}
		}
	}
	t.Logf("ATTACK | an identity provider's names: markup, links, marks of direction, controls, 10 KB, and somebody of another company | nothing of it in lists, requests, approvals, mails and the audit log, in words or JSON | %d names, %d places | holds", len(odd), len(seen))
}

// mails are what was written to approvers and engineers.
func (c *cluster) mails() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	until(c.t, "mails are written", patience, often, func() error {
		files, err := filepath.Glob(c.path("mail", "*.eml"))
		if err == nil && len(files) == 0 {
			err = fmt.Errorf("none")
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			all[filepath.Base(f)] = strings.ReplaceAll(string(text), "\r\n", "\n")
		}
		return err
	})
	return all
}
