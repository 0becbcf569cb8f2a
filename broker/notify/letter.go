package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// mailID names a mail: what it tells whom.
func mailID(n Notice, to string) string {
	parts := []string{string(n.Event), n.Request.Text(), strings.ToLower(to)}
	if n.Event == Proposed || n.Event == Alarm { // each window is news, and each section once
		parts = append(parts, n.Terms.From.UTC().Format(time.RFC3339Nano), n.Terms.Until.UTC().Format(time.RFC3339Nano))
	}
	return digest(parts...)
}

// digest names what the parts say.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
}

// letter is the text of a mail.
func letter(n Notice, broker string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", opening(n))
	line("")
	line("  Engineer    %s", who(n.Engineer))
	line("  Scanner     %s", scanner(n))
	line("  To          %s", purpose(n))
	line("  When        %s", when(n))
	line("  Work order  %s", work(n.Work))
	if n.By.Sub != "" {
		line("  Decided by  %s", who(n.By))
	}
	line("")
	line("%s", reason(n.Event))
	line("")
	link := broker + "/requests/" + n.Request.Request()
	if n.Event == Alarm {
		line("  Freeze it, or end it       %s/live", broker)
		line("  Or at your own console     sallyport sessions ls")
		line("  The request it came from   %s", link)
	} else if n.Event.ForApprovers() {
		line("  Look at it and decide    %s", link)
		line("  Or at your own console   sallyport approve %s", n.Request.Request())
		line("")
		line("On the page you trust the broker to show you the truth. At your console nothing has")
		line("to be trusted. Until the hospital approves, nothing is open.")
	} else {
		line("  Read on   %s", link)
		line("  Or run    sallyport request show %s", n.Request.Request())
	}
	line("")
	line("-- ")
	line("Sallyport wrote this. Nobody reads answers to it.")
	return b.String()
}

// scanner is its full name: two hospitals may call theirs alike.
func scanner(n Notice) string { return name(n.Site) + "/" + name(n.Asset) }

func opening(n Notice) string {
	asset := scanner(n)
	return map[Event]string{
		Asked:          "An engineer asks for access to " + asset + ".",
		ExtensionAsked: "An engineer who is at work on " + asset + " asks for more time.",
		Approved:       "The hospital approved your request for " + asset + ".",
		Extended:       "The hospital granted you more time on " + asset + ".",
		Denied:         "The hospital declined your request for " + asset + ".",
		Proposed:       "The hospital proposes another window for " + asset + ".",
		Alarm:          "A patient may be at " + asset + ", and a remote session there goes on: its engineer declared a critical section.",
		Revoked:        "The hospital took back its approval for " + asset + ".",
	}[n.Event]
}

// reason says where the words are that a mail does not carry.
func reason(e Event) string {
	switch e {
	case Denied:
		return "The hospital's reason is on the page. You can ask again."
	case Proposed:
		return "What the hospital says about it is on the page. To take the window, ask again for it."
	case Alarm:
		return "What is being done must not be cut off; until the section is over, the scanner's state does not\nfreeze this session. Everything else there is frozen. Call the people at the scanner. Freeze, end\nand STOP work at once, and may leave the scanner unusable."
	case Revoked:
		return "The hospital's reason is on the page. What was open has been ended."
	case Approved:
		return "You can connect within the window; the time runs from your first connection."
	case Extended:
		return "Nothing that is open was interrupted."
	}
	return "Why the engineer asks is on the page; it is not sent by mail."
}

// who is a person for people: what their identity provider calls them, and the provider. A
// reader's program makes no link of the name.
func who(p session.Person) string {
	s := wording.Name(p.Name)
	if ValidAddress(p.Email) {
		s = strings.TrimSpace(s + " <" + p.Email + ">")
	}
	if s == "" {
		s = "somebody without a name"
	}
	if host := p.Host(); host != "" {
		s += ", signed in at " + wording.Line(host, maxHost)
	}
	return s
}

// purpose says what is asked for, in the words of the approval page.
func purpose(n Notice) string {
	var does, services []string
	for _, c := range n.Channels {
		does = append(does, wording.Does(session.Channel(name(string(c))), n.Class))
	}
	for _, s := range n.Services {
		services = append(services, name(s))
	}
	return fmt.Sprintf("%s, on %s (%s)", strings.Join(does, ", "), strings.Join(services, ", "), name(string(n.Class)))
}

// when says how long and between which times, in the site's zone.
func when(n Notice) string {
	t := n.Terms
	layout := "2 Jan 15:04"
	until := t.Until.In(t.Now.Location())
	if n.Event == Alarm {
		return "critical section until " + until.Format(layout+" MST")
	}
	from, first := t.From.In(t.Now.Location()), layout
	if from.Format("MST") != until.Format("MST") { // the clocks are changed in between
		first += " MST"
	}
	window := fmt.Sprintf("%s to %s", from.Format(first), until.Format(layout+" MST"))
	if !t.From.After(t.Now) {
		window = "not after " + until.Format(layout+" MST")
	}
	if t.Longest > 0 {
		return fmt.Sprintf("up to %s, %s", duration(t.Longest), window)
	}
	return window
}

func duration(d time.Duration) string {
	d = d.Round(time.Minute)
	switch h, m := int(d.Hours()), int(d.Minutes())%60; {
	case h == 0:
		return fmt.Sprintf("%d minutes", m)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	default:
		return fmt.Sprintf("%d h %d min", h, m)
	}
}

var code = regexp.MustCompile(`^[A-Za-z]{0,8}[-_./#:]?[0-9][0-9A-Z._/#:-]{0,39}$`)

// work tells a work order that looks like one. Anything else was typed freely.
func work(order string) string {
	switch {
	case order == "":
		return "none given"
	case code.MatchString(order):
		return order
	}
	return "on the page"
}
