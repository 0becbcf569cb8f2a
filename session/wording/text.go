// Package wording is how the house speaks to people: anybody's text made fit to be shown,
// and the words for reasons, channels and classes. Command line, agent, broker and pages
// take them from here; the pages through broker/web/src/lib/words.json, which a test of
// this package writes.
package wording

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const dots = "…"

// invisible are characters that no reader sees or that have no meaning between two
// parties. Two variation selectors stay: they choose between a picture and its drawing.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Noncharacter_Code_Point, unicode.Other_Default_Ignorable_Code_Point) ||
		unicode.Is(unicode.Variation_Selector, r) && r != '\ufe0e' && r != '\ufe0f'
}

// Hostile reports whether a character does something to a terminal, to the order in which
// a line is read, or to a reader who takes text for what it looks like: controls, marks of
// direction, characters of no width, line separators, private use. Line feed and tab are
// such too.
func Hostile(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) || invisible(r)
}

// Plain reports whether s can be shown on one line as it is.
func Plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, Hostile) }

// Says reports whether s tells a reader anything: it holds a letter or a digit that they
// see. Spaces, fillers, blanks, marks without a letter and the like are silence.
func Says(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.L, unicode.N) && !Hostile(r) && !blank(r) })
}

// blank reports whether a letter by its category is drawn as nothing: the full and the half
// blank of Egyptian hieroglyphs. Hangul's fillers are hostile already.
func blank(r rune) bool { return r == '\U00013441' || r == '\U00013442' }

// Clean makes s fit for one line: a line break or tab becomes a space, each run of other
// hostile characters and broken UTF-8 one U+FFFD.
func Clean(s string) string { return clean(s, len(s)*utf8.UTFMax) }

// clean stops soon after most bytes.
func clean(s string, most int) string {
	var b strings.Builder
	bad := false
	for i, r := range s {
		if b.Len() > most {
			break
		}
		switch {
		case r == '\n', r == '\r', r == '\t':
			r = ' '
		case Hostile(r), r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			if !bad {
				b.WriteRune(utf8.RuneError)
			}
			bad = true
			continue
		}
		bad = false
		b.WriteRune(r)
	}
	return b.String()
}

// Line is Clean in at most most bytes; what is cut ends with dots and never within a
// character.
func Line(s string, most int) string {
	s = clean(s, most)
	if len(s) <= most {
		return s
	}
	end := dots
	if most < len(dots) {
		end = ""
	}
	cut := max(most-len(end), 0)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + end
}

// Name makes harmless what an identity provider calls somebody: what names are made of, on
// one short line in which no program finds a link, an address or a number to call.
func Name(s string) string {
	var b strings.Builder
	gap, marks, digits, n := false, 0, 0, 0
	for _, r := range s {
		if n >= maxName {
			break
		}
		switch {
		case Hostile(r) || blank(r):
			gap = true
			continue
		case unicode.IsMark(r):
			if marks++; n == 0 || gap || marks > maxMarks {
				continue
			}
		case unicode.IsDigit(r) && digits < maxDigits:
			digits++
		case !unicode.IsLetter(r) && !strings.ContainsRune(".,'’()-", r):
			gap = true
			continue
		}
		if gap && n > 0 {
			b.WriteByte(' ')
			n++
		}
		if !unicode.IsMark(r) {
			marks = 0
		}
		gap = r == '.' // so that no two words make the name of a host
		b.WriteRune(r)
		n++
	}
	if name := b.String(); strings.ContainsFunc(name, unicode.IsLetter) {
		return name
	}
	return ""
}

// Sentence ends words with a full stop, unless they end so already.
func Sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// Escape rewrites the hostile characters of a JSON document as \uXXXX. They can only stand
// inside its strings; line feeds stand between values alone, and stay.
func Escape(document []byte) []byte {
	out := make([]byte, 0, len(document))
	for len(document) > 0 {
		r, n := utf8.DecodeRune(document)
		switch {
		case r == '\n', !Hostile(r):
			out = append(out, document[:n]...)
		case r > 0xFFFF:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xD800+(r>>10), 0xDC00+(r&0x3FF))
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		document = document[n:]
	}
	return out
}
