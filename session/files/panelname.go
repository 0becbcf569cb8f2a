package files

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session/wording"
)

// A device's names are bytes, and a browser is told text. Written, a name is itself as far
// as it can be shown; a backslash is doubled, and what cannot be shown is \xHH, byte by
// byte. What is written is fit for people, and read again it is the same bytes.

// written is a name or a path as the browser gets it.
func written(name string) string {
	if wording.Plain(name) && !strings.ContainsAny(name, "\\\ufffd") {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError, wording.Hostile(r):
			for _, c := range []byte(name[:n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteRune(r)
		}
		name = name[n:]
	}
	return b.String()
}

// read is the name that was written so; false where nothing is. More than has to be may
// stand as \xHH. U+FFFD may not stand as it is: a lone surrogate of a browser's becomes it.
func read(text string) (string, bool) {
	if !wording.Plain(text) || strings.ContainsRune(text, utf8.RuneError) {
		return "", false
	}
	var b strings.Builder
	for {
		before, after, escaped := strings.Cut(text, `\`)
		b.WriteString(before)
		switch {
		case !escaped:
			return b.String(), true
		case strings.HasPrefix(after, `\`):
			b.WriteByte('\\')
			text = after[1:]
		default:
			if len(after) < 3 || after[0] != 'x' {
				return "", false
			}
			c, err := strconv.ParseUint(after[1:3], 16, 8)
			if err != nil || c == 0 {
				return "", false
			}
			b.WriteByte(byte(c))
			text = after[3:]
		}
	}
}

// usable reports whether a listed name can be sent back and mean that entry.
func usable(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00") && len(name) <= maxName
}
