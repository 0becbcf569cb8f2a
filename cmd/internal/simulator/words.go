package simulator

import (
	"errors"
	"fmt"
	"strings"
)

// step is one command of a line and what joins it to the one before: "", ";", "&&", "||".
type step struct {
	op    string
	words []string
}

// split reads a command line: words, single and double quotes, backslash, comments and
// the joints ; && ||. What a real shell would do beyond that is refused by name.
func split(line string) ([]step, error) {
	var l lexer
	l.steps = []step{{}}
	for i := 0; i < len(line); {
		n, err := l.next(line[i:])
		if err != nil {
			return nil, err
		}
		i += n
	}
	l.endWord()
	return l.done()
}

type lexer struct {
	steps  []step
	word   strings.Builder
	inWord bool
	count  int
}

// next consumes the start of rest and returns its length.
func (l *lexer) next(rest string) (int, error) {
	switch c := rest[0]; c {
	case ' ', '\t', '\r', '\n':
		l.endWord()
		return 1, nil
	case '#':
		if !l.inWord {
			return len(rest), nil
		}
	case '\'', '"':
		end := closing(rest, c)
		if end < 0 {
			return 0, errors.New("a quote is not closed")
		}
		l.add(unescape(rest[1:end], c))
		return end + 1, nil
	case '\\':
		if len(rest) < 2 {
			return 0, errors.New("nothing follows the backslash")
		}
		l.add(rest[1:2])
		return 2, nil
	case ';':
		return 1, l.join(";")
	case '&', '|':
		if strings.HasPrefix(rest, "&&") || strings.HasPrefix(rest, "||") {
			return 2, l.join(rest[:2])
		}
		return 0, fmt.Errorf("this shell has no pipes and no background (%c)", c)
	case '<', '>':
		return 0, fmt.Errorf("this shell has no redirection (%c); use sftp to move files", c)
	case '`':
		return 0, errors.New("this shell has no command substitution")
	case '$':
		if strings.HasPrefix(rest, "$(") {
			return 0, errors.New("this shell has no command substitution")
		}
	}
	l.add(rest[:1])
	return 1, nil
}

func (l *lexer) add(s string) {
	l.word.WriteString(s)
	l.inWord = true
}

func (l *lexer) endWord() {
	if l.inWord {
		last := &l.steps[len(l.steps)-1]
		last.words = append(last.words, l.word.String())
		l.word.Reset()
		l.inWord = false
		l.count++
	}
}

func (l *lexer) join(op string) error {
	l.endWord()
	if len(l.steps[len(l.steps)-1].words) == 0 {
		return fmt.Errorf("nothing stands before %s", op)
	}
	l.steps = append(l.steps, step{op: op})
	return nil
}

func (l *lexer) done() ([]step, error) {
	last := l.steps[len(l.steps)-1]
	if len(last.words) == 0 {
		if last.op == "&&" || last.op == "||" {
			return nil, fmt.Errorf("nothing follows %s", last.op)
		}
		l.steps = l.steps[:len(l.steps)-1]
	}
	if l.count > maxWords {
		return nil, errors.New("too many words")
	}
	return l.steps, nil
}

// closing finds the quote that closes rest[0], or -1.
func closing(rest string, quote byte) int {
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == quote:
			return i
		case rest[i] == '\\' && quote == '"':
			i++
		}
	}
	return -1
}

// unescape takes the backslashes out of a double-quoted part.
func unescape(s string, quote byte) string {
	if quote == '\'' {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`"\$`+"`", s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
