package wording_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

var update = flag.Bool("update", false, "write the words of the pages")

// web is where the pages have their words.
const web = "../../broker/web/src/lib/words.json"

// hostile are characters of every kind that may reach nobody.
var hostile = []rune("\x00\x07\x1b\n\t\x7f\u0085\u009b\u00ad\u034f\u061c\u115f\u180b\u200b\u200c\u200d\u200e\u202a\u202e\u2028\u2029\u2060\u2066\u2069\u3164\ue000\ufe00\ufeff\uffa0\ufff9\uffff\U000e0001\U000e0041\U000e0100\U000f0000\U0010ffff")

// friendly are characters that names and reasons have.
var friendly = []rune("aZ9 .,:;'\"()-–’„“äßéøñçŁžđ中文日本語한글العربيةעברית🙂⚠\ufe0f\u00a0\u0301µ°²→\ufffd")

func text(t *rapid.T) string {
	parts := rapid.SliceOf(rapid.OneOf(
		rapid.SampledFrom(hostile).AsAny(), rapid.SampledFrom(friendly).AsAny(), rapid.Rune().AsAny(), rapid.Byte().AsAny(),
		rapid.SampledFrom([]string{"\xed\xa0\x80", "\xed\xbf\xbf", "\xc3", "\xf0\x9f\x99", "\xc0\x80", "\x1b[2J", "\x1b]52;c;x\x07"}).AsAny(),
	)).Draw(t, "parts")
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case rune:
			b.WriteRune(p)
		case byte:
			b.WriteByte(p)
		case string:
			b.WriteString(p)
		}
	}
	return b.String()
}

// What a program reads is the same, and a terminal is told nothing.
func TestEscapedDocumentsSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := strings.ToValidUTF8(text(t), "\ufffd")
		document, err := json.MarshalIndent([]string{in}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		out := wording.Escape(document)
		if strings.ContainsFunc(string(out), func(r rune) bool { return r != '\n' && wording.Hostile(r) }) {
			t.Fatalf("%q", out)
		}
		var back []string
		if err := json.Unmarshal(out, &back); err != nil || len(back) != 1 || back[0] != in {
			t.Fatalf("%q reads as %q, %v", out, back, err)
		}
	})
}

func TestNothingHostileGetsThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, most := text(t), rapid.IntRange(0, 60).Draw(t, "most")
		clean, line := wording.Clean(s), wording.Line(s, most)
		for _, out := range []string{clean, line} {
			if !utf8.ValidString(out) || !wording.Plain(out) {
				t.Fatalf("%q comes out of %q", out, s)
			}
			for _, r := range out {
				if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
					t.Fatalf("%U comes out of %q", r, s)
				}
			}
		}
		if len(line) > most {
			t.Fatalf("%d bytes of at most %d", len(line), most)
		}
		if wording.Clean(clean) != clean || wording.Plain(s) && clean != s {
			t.Fatalf("%q is not kept: %q", s, clean)
		}
		if len(clean) <= most && line != clean {
			t.Fatalf("%q became %q for nothing", clean, line)
		}
		if cut, ok := strings.CutSuffix(line, "…"); len(clean) > most && (most >= 3 && !ok || !strings.HasPrefix(clean, cut)) {
			t.Fatalf("%q was cut to %q", clean, line)
		}
	})
}

func TestNamesAndReasonsStay(t *testing.T) {
	for _, r := range friendly {
		if wording.Hostile(r) {
			t.Errorf("%U is hostile", r)
		}
	}
	for _, r := range hostile {
		if !wording.Hostile(r) {
			t.Errorf("%U is not hostile", r)
		}
	}
	for in, want := range map[string]string{
		"Jana\r\nBrandt\t(x)":    "Jana  Brandt (x)",
		"pay\u202e\u200bgnp.exe": "pay\ufffdgnp.exe",
		"\xff\xfe broken":        "\ufffd broken",
		"\x1b[31mred":            "\ufffd[31mred",
		"a \ufffd\ufffd b":       "a \ufffd\ufffd b",
	} {
		if got := wording.Clean(in); got != want {
			t.Errorf("%q became %q, expected %q", in, got, want)
		}
	}
}

// Whoever is asked why cannot answer with nothing that looks like something.
func TestSilenceIsNoReason(t *testing.T) {
	for _, s := range []string{"", " ", "\t\n", "\u00a0\u2003\u3000", "\u200b\u200c\u200d\u2060\ufeff", "\u3164", "\u115f\u1160\uffa0", "\u2800\u2800", "\ufe0f",
		"\ufe0e \ufe0f", "\U000e0041\U000e0042\U000e007f", "\U000e0100", "\u0301", "\u034f", "\u180b", "\u17b4\u17b5", "\u2061\u2062", "\U0001d159",
		"\U00013441\U00013442", "\U00016fe4", "...", " - ", "?!", "\x00", "\xff", "\ue000"} {
		if wording.Says(s) {
			t.Errorf("%q says something", s)
		}
	}
	for _, s := range []string{"a", " x ", "7", "\u2800why", "管", "ß", "٣", "한글", "ok \U0001f642", "e\u0301"} {
		if !wording.Says(s) {
			t.Errorf("%q says nothing", s)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // nothing that nobody sees adds up to something
		s := string(rapid.SliceOf(rapid.SampledFrom(append([]rune("\u2800\ufe0f\u0301 \u00a0"), hostile...))).Draw(t, "silence"))
		if wording.Says(s) {
			t.Fatalf("%q says something", s)
		}
	})
}

// What is far too long costs no more than what is shown of it.
// What an identity provider calls somebody stands in mails and on pages: no reader's program
// makes a link of it, and nobody else's address stands in it.
func TestNamesCarryNoLinks(t *testing.T) {
	for in, want := range map[string]string{
		"Jana Kovač":                         "Jana Kovač",
		"O’Brien-Smith, Anne (field) Jr.":    "O’Brien-Smith, Anne (field) Jr.",
		"J.R. Tolkien":                       "J. R. Tolkien",
		"山田 太郎":                              "山田 太郎",
		"नित्या":                             "नित्या",
		"jana@meridian.example":              "jana meridian. example",
		"Jana <jana@meridian.example>":       "Jana jana meridian. example",
		"evil.example/x":                     "evil. example x",
		"https://evil.example/?a=b#c":        "https evil. example a b c",
		"evil\u200b.example":                 "evil . example",
		"evil。example．org":                   "evil example org",
		"Jana\r\nBcc: all@evil.example":      "Jana Bcc all evil. example",
		"\u202egro.elpmaxe":                  "gro. elpmaxe",
		"call +49 170 1234567 now":           "call 49 1 now",
		"a\u0301\u0301\u0301\u0301\u0301":    "a\u0301\u0301",
		"@/:.":                               "",
		"":                                   "",
		"\xff\xfeJana":                       "Jana",
		strings.Repeat("ab ", 100):           strings.Repeat("ab ", 21) + "a",
		strings.Repeat("\u0301", 1000) + "e": "e",
	} {
		if got := wording.Name(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := wording.Name(rapid.String().Draw(t, "name"))
		if wording.Name(name) != name || !wording.Plain(name) || strings.ContainsAny(name, "@/:<>\\\"&=?#%") ||
			regexp.MustCompile(`\.\S`).MatchString(name) || utf8.RuneCountInString(name) > 64+1 {
			t.Fatalf("%q", name)
		}
	})
}

func TestALongTextIsCutFirst(t *testing.T) {
	for _, s := range []string{strings.Repeat("中", 1<<20), strings.Repeat("\u202e", 1<<20), strings.Repeat("\xff", 1<<20)} {
		if got := wording.Line(s, 100); len(got) > 100 || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
		if n := testing.AllocsPerRun(10, func() { wording.Line(s, 100) }); n > 20 {
			t.Errorf("%v allocations", n)
		}
	}
}

func TestSentences(t *testing.T) {
	for in, want := range map[string]string{"": "", " It ended ": "It ended.", "Why?": "Why?", "No!": "No!", "So.": "So."} {
		if got := wording.Sentence(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestEveryReasonHasWords(t *testing.T) {
	seen := map[string]session.EndReason{}
	for _, why := range []session.EndReason{session.Completed, session.OutOfTime, session.RevokedGrant, session.KilledLocal, session.KilledRemote,
		session.LinkLost, session.AgentLost, session.RecorderLost, session.DeviceClosed, session.Failed} {
		words := wording.Ended(why)
		if !wording.KnownEnd(why) || !strings.HasPrefix(words, "ended") || words == "ended" || seen[words] != "" {
			t.Errorf("%s: %q", why, words)
		}
		if f := wording.Farewell(why); f == "" || wording.Sentence(f) != f {
			t.Errorf("%s: %q", why, f)
		}
		seen[words] = why
	}
	if len(seen) != len(wording.Ends()) || wording.KnownEnd("x") || wording.Ended("x") != "ended" || wording.Farewell("x") != wording.Farewell(session.Failed) {
		t.Error("a reason that is none has words")
	}
	if got := wording.Channel("x\x1b"); got != "x\ufffd" {
		t.Errorf("an unknown channel is shown as %q", got)
	}
}

// The pages have the same words and take the same characters for hostile.
func TestThePagesSpeakTheSameWords(t *testing.T) {
	order, phrases, signed := wording.Deciding()
	hold(t, web, map[string]any{"ended": wording.Ends(), "channels": wording.Channels(), "classes": wording.Classes(), "states": states(), "certificates": certificates(), "hostile": pattern(),
		"hands": slices.DeleteFunc(slices.Clone(order), session.Channel.Carries), "phrases": phrases, "signed": signed,
		"carries": slices.DeleteFunc(slices.Clone(order), func(c session.Channel) bool { return !c.Carries() })})
	if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, session.Channels()) {
		t.Errorf("an approver reads of %v, there are %v", sorted, session.Channels())
	}
}

// deciding is a grant with what an approver reads of it.
type deciding struct {
	on       []session.Target
	On       []string            `json:"on"`
	Class    session.Class       `json:"class"`
	Channels []session.Channel   `json:"channels"`
	Engineer session.ClientClass `json:"engineer"`
	Work     string              `json:"work"`
	Carries  string              `json:"carries"`
	Cautions []string            `json:"cautions"`
}

func TestThePagesSayTheSameToApprovers(t *testing.T) {
	recon, console := session.Target{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh"}, session.Target{Site: "NGH", Asset: "NGH-PETCT1", Service: "console"}
	all := []deciding{
		{on: []session.Target{recon}, Class: session.Observe, Channels: []session.Channel{session.Exec}, Engineer: session.CLI},
		{on: []session.Target{console, recon}, Class: session.Disruptive, Channels: session.Channels(), Engineer: session.Web},
		{on: []session.Target{console}, Class: session.NonDisruptive, Channels: []session.Channel{session.ClipboardOut, session.Control}, Engineer: session.Console},
		{on: []session.Target{recon}, Class: session.Disruptive, Channels: []session.Channel{session.FilesOut}},
		{on: []session.Target{console}, Class: session.Observe, Channels: []session.Channel{session.ClipboardOut, session.Control}},
	}
	for i := range all {
		x := &all[i]
		x.Work, x.Carries = wording.Work(x.on, x.Class, x.Channels), wording.Carries(x.Channels)
		for _, of := range x.on {
			x.On = append(x.On, of.String())
		}
		x.Cautions = append([]string{}, wording.Cautions(x.Class, x.Channels, x.Engineer)...)
		if !strings.Contains(x.Work, x.On[0]) {
			t.Errorf("%q does not name the scanner in full", x.Work)
		}
	}
	hold(t, "testdata/deciding.json", all)
	if wording.Signed("x") != wording.Signed("") {
		t.Error("a program that is not known is taken for another")
	}
}

// standing is what is said of a class that works in some states.
type standing struct {
	Works []session.ModalityState `json:"works"`
	Says  []string                `json:"says"`
}

func TestThePagesSayTheSameOfAClass(t *testing.T) {
	all := []standing{
		{Works: []session.ModalityState{}},
		{Works: []session.ModalityState{session.InService}},
		{Works: []session.ModalityState{session.InService, session.Down, session.ModalityIdle}},
		{Works: session.ModalityStates()},
	}
	for i := range all {
		all[i].Says = wording.ClassMeans(all[i].Works)
	}
	hold(t, "testdata/standing.json", all)
}

// hold compares a file with what this code makes.
func hold(t *testing.T, file string, all any) {
	t.Helper()
	words, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	words = append(words, '\n')
	if *update {
		if err := os.WriteFile(file, words, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != string(words) {
		t.Errorf("%s is another (%v): go test ./session/wording -update", file, err)
	}
}

// pattern is Hostile as ranges of a regular expression.
func pattern() string {
	var b strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		first := r
		for r <= unicode.MaxRune && wording.Hostile(r) {
			r++
		}
		switch {
		case r == first:
		case r == first+1:
			fmt.Fprintf(&b, `\u{%x}`, first)
		default:
			fmt.Fprintf(&b, `\u{%x}-\u{%x}`, first, r-1)
		}
	}
	return "[" + b.String() + "]"
}

// certificates are how a console's certificate can be known, in words.
func certificates() map[session.Known]string {
	all := map[session.Known]string{}
	for _, k := range []session.Known{session.KnownPinned, session.KnownHeld, session.KnownFirst, session.KnownRefused} {
		all[k] = k.Words()
	}
	return all
}

// states are the states of a scanner, in words.
func states() map[session.ModalityState]string {
	all := map[session.ModalityState]string{}
	for _, s := range session.ModalityStates() {
		all[s] = s.Words()
	}
	return all
}
