package wording

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// What an approver reads before deciding. The web application makes the same sentences of
// the same words, held against testdata/deciding.json.

// readOrder is in which channels are read: what one does on a device before what is carried.
func readOrder() []session.Channel {
	return []session.Channel{session.Shell, session.Exec, session.Control, session.FilesIn, session.FilesOut, session.ClipboardIn, session.ClipboardOut}
}

// phrases are the words beside those of channels and classes.
func phrases() map[string]string {
	return map[string]string{
		"connect":          "connect",
		"see":              "see the console",
		"nothing":          "copy no files",
		"shell":            "A shell or a command can do whatever the scanner's service account may do, and can carry files in and out whatever the line about files says. All of it is recorded.",
		"disruptive":       "This work can stop an examination. Make sure that no patient depends on this scanner now.",
		"takes":            "A Windows 7 has one session: connecting by RDP takes the console from whoever works at the scanner.",
		"together":         "To look together with whoever is there, use the console that speaks VNC:",
		"legacy":           "TLS of the past is allowed between agent and console: who taps the hospital's network there could read what passes.",
		"consent-operator": "The operator at the scanner is asked when the session is to open, and has to accept.",
		"consent-code":     "The operator at the scanner is asked when the session is to open, and reads out a code that the engineer types; or they accept.",

		"keys-both":     "Each approver signs in, and also uses their passkey on the agent's own page at the hospital. Neither counts alone.",
		"keys-instead":  "On the agent's own page at the hospital, a passkey stands for an approver's sign-in.",
		"lacks-passkey": "their passkey, on the agent's own page at the hospital",
		"lacks-sign-in": "their sign-in",

		"asked-operator": "The operator at the scanner is asked, on the agent's page: the session opens when they accept.",
		"asked-code":     "The operator at the scanner is asked: the session opens when the engineer types the code that they read out, or when they accept.",
		"refused":        "The operator at the scanner refused.",
		"timed-out":      "The operator at the scanner did not answer.",
		"wrong-codes":    "A wrong code was typed for the third time.",
		"gone":           "The engineer went before the operator at the scanner answered.",
		"given-page":     session.Consented{How: session.ByPage}.Words(),
		"given-command":  session.Consented{How: session.ByCommand}.Words(),
		"given-code":     session.Consented{How: session.ByCode}.Words(),

		"web": "The engineer signed on the broker's web page. If the broker were taken over, it could have stood in for them.",
	}
}

// signed are the programs in which somebody signs, and what that is worth.
func signed() map[session.ClientClass]string {
	return map[session.ClientClass]string{
		session.CLI:     "on the engineer's own machine: the broker could not stand in for them",
		session.Web:     "on the broker's web page: the broker is trusted not to stand in for them",
		session.Console: "at a hospital console: the broker is not trusted for what it shows",
		"":              "in a way that is not known here: the hospital's agent checks it",
	}
}

// Work says what somebody may do on services, by their full names: "use a command shell on
// NGH/NGH-PETCT1/recon-ssh, look only".
func Work(on []session.Target, class session.Class, channels []session.Channel) string {
	var names []string
	for _, x := range on {
		names = append(names, x.String())
	}
	does := chosen(channels, false, class)
	if len(does) == 0 {
		does = []string{phrases()["connect"]}
	}
	return fmt.Sprintf("%s on %s, %s", List(does), List(names), Class(class))
}

// Does says what a channel lets somebody do in a class: the agent lets no hand at a console
// that is only looked at.
func Does(c session.Channel, class session.Class) string {
	if c == session.Control && class == session.Observe {
		return phrases()["see"]
	}
	return Channel(c)
}

// Carries says what may be carried to a scanner and from it.
func Carries(channels []session.Channel) string {
	if all := chosen(channels, true, ""); len(all) > 0 {
		return List(all)
	}
	return phrases()["nothing"]
}

func chosen(channels []session.Channel, carries bool, class session.Class) (words []string) {
	for _, c := range readOrder() {
		if c.Carries() == carries && slices.Contains(channels, c) {
			words = append(words, Does(c, class))
		}
	}
	return words
}

// Cautions are what to know before saying yes.
func Cautions(class session.Class, channels []session.Channel, engineer session.ClientClass) (all []string) {
	if slices.Contains(channels, session.Shell) || slices.Contains(channels, session.Exec) {
		all = append(all, phrases()["shell"])
	}
	if class == session.Disruptive {
		all = append(all, phrases()["disruptive"])
	}
	if engineer == session.Web {
		all = append(all, phrases()["web"])
	}
	return all
}

// Keys says what passkeys of the agent's page count for where approvers read it; empty: nothing.
func Keys(k session.ConsoleKeys) string {
	if !k.Used() {
		return ""
	}
	return phrases()["keys-"+string(k)]
}

// Lacks says which of two proofs somebody's approval still lacks: "passkey" or "sign-in".
func Lacks(who, proof string) string {
	return "of " + who + " " + phrases()["lacks-"+proof]
}

// ApprovedBy says with what somebody approved, beside where: a passkey has a name.
func ApprovedBy(passkey string, signed bool) string {
	switch {
	case passkey == "":
		return "by signing in"
	case signed:
		return "by signing in and by the passkey " + passkey
	}
	return "by the passkey " + passkey
}

// ApprovedOn says where somebody approved.
func ApprovedOn(c session.ClientClass, page bool) string {
	switch {
	case page:
		return "on the hospital's own page, at its agent"
	case c == session.Console:
		return "at a hospital console"
	case c == session.Web:
		return "on the broker's web page"
	}
	return "in a way that is not known here"
}

// Signed says in which kind of program somebody signed: "signed ...".
func Signed(c session.ClientClass) string {
	if words, ok := signed()[c]; ok {
		return words
	}
	return signed()[""]
}

// List writes several as "a, b and c".
func List(parts []string) string {
	last := len(parts) - 1
	if last < 1 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// Critical says what critical sections of so long in all come to.
func Critical(span string) []string {
	return []string{fmt.Sprintf("may declare critical sections of at most %[1]s in all, in which a patient's arrival raises an alarm in place of a freeze; past its end the session may run on in one, for at most %[1]s", span)}
}
