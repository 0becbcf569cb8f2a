package cast

import (
	"strings"
	"unicode/utf8"
)

// text turns chunks of bytes into chunks of valid UTF-8. A character that is split
// over two chunks is carried into the second; a byte that can never become one is
// replaced.
type text struct {
	carry []byte
	last  byte // of what was returned, for returns
}

func (t *text) take(b []byte) string {
	all := append(t.carry, b...)
	cut := len(all) - unfinished(all)
	t.carry = append([]byte(nil), all[cut:]...)
	return string([]rune(string(all[:cut]))) // one for each byte, so that nothing moves
}

// rest is what is left at the end of everything.
func (t *text) rest() string {
	if len(t.carry) == 0 {
		return ""
	}
	left := strings.Repeat("\uFFFD", len(t.carry))
	t.carry = nil
	return left
}

// unfinished is how many bytes at the end of b may still become a character.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		tail := b[len(b)-n:]
		if utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return n
			}
			return 0
		}
	}
	return 0
}

// returns puts a carriage return before every line feed that has none, as a
// terminal would have done.
func (t *text) returns(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] == '\n' && t.last != '\r' {
			b.WriteByte('\r')
		}
		b.WriteByte(s[i])
		t.last = s[i]
	}
	return b.String()
}
