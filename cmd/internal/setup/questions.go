package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Question is one thing that setup wants to know.
type Question struct {
	Key string // in a file of answers
	Ask string // the question, without its mark
	Why string // in one line
	// Usual is the answer of who says nothing; nil: there must be one.
	Usual func(Answers) string
	// Wrong says what is wrong with an answer; "" nothing. Nil takes any.
	Wrong func(answer string) string
	// Quiet is not asked on a terminal: the usual answer is right nearly everywhere.
	Quiet bool
	// Skip is whether earlier answers make it pointless; its answer is then "".
	Skip func(Answers) bool
}

// Usually is a fixed usual answer.
func Usually(s string) func(Answers) string { return func(Answers) string { return s } }

func (q Question) usual(so Answers) (string, bool) {
	if q.Skip != nil && q.Skip(so) {
		return "", true
	}
	if q.Usual == nil {
		return "", false
	}
	return q.Usual(so), true
}

func (q Question) wrong(answer string) string {
	switch {
	case strings.ContainsFunc(answer, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "an answer is one line of text"
	case len(answer) > maxAnswer:
		return "this is too long"
	case answer == "" && q.Usual == nil:
		return "an answer is needed"
	case answer == "" || q.Wrong == nil:
		return ""
	}
	return q.Wrong(answer)
}

// Given completes answers that were given beforehand with the usual ones. All that is
// missing or wrong is said at once.
func Given(all []Question, given Answers) (Answers, error) {
	so := Answers{}
	var errs []string
	left := maps.Clone(given)
	for _, q := range all {
		answer, said := given[q.Key]
		delete(left, q.Key)
		if !said {
			usual, ok := q.usual(so)
			if !ok {
				errs = append(errs, fmt.Sprintf("%s: %s?", q.Key, q.Ask))
				continue
			}
			answer = usual
		}
		if problem := q.wrong(answer); said && problem != "" {
			errs = append(errs, q.Key+": "+problem)
		}
		so[q.Key] = answer
	}
	for _, key := range slices.Sorted(maps.Keys(left)) {
		errs = append(errs, fmt.Sprintf("%.40s: nobody asks this", wording.Clean(key)))
	}
	if len(errs) > 0 {
		return nil, session.Errorf(session.Invalid, "The answers cannot be used:\n  %s", strings.Join(errs, "\n  ")).
			WithNext("--questions prints all questions as a file of answers.")
	}
	return so, nil
}

// Ask asks on a terminal what was not given beforehand.
func Ask(in io.Reader, out io.Writer, all []Question, given Answers) (Answers, error) {
	so := Answers{}
	lines := bufio.NewReader(in)
	for _, q := range all {
		usual, known := q.usual(so)
		if answer, said := given[q.Key]; said {
			so[q.Key] = answer
			continue
		}
		if known && (q.Quiet || q.Skip != nil && q.Skip(so)) {
			so[q.Key] = usual
			continue
		}
		answer, err := q.put(lines, out, usual)
		if err != nil {
			return nil, err
		}
		so[q.Key] = answer
	}
	return Given(all, so)
}

// put asks until the answer can be used.
func (q Question) put(in *bufio.Reader, out io.Writer, usual string) (string, error) {
	fmt.Fprintf(out, "\n%s\n", q.Why)
	for {
		fmt.Fprintf(out, "%s? ", q.Ask)
		if usual != "" {
			fmt.Fprintf(out, "[%s] ", usual)
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return "", session.Errorf(session.Invalid, "The questions were not answered to the end, and nothing was written").WithNext("Run it again, or give the answers in a file: --questions prints one.")
		}
		answer := strings.TrimSpace(line)
		if answer == "" {
			answer = usual
		}
		problem := q.wrong(answer)
		if problem == "" {
			return answer, nil
		}
		fmt.Fprintf(out, "%s\n", wording.Sentence(problem))
	}
}

// Blank is all questions as a file of answers: what has a usual answer is commented.
func Blank(all []Question) string {
	var b strings.Builder
	b.WriteString("# Answers for setup. What begins with # has the answer that is shown, unless you give another.\n")
	for _, q := range all {
		fmt.Fprintf(&b, "\n# %s?\n# %s\n", q.Ask, q.Why)
		if usual, ok := q.usual(Answers{}); ok {
			fmt.Fprintf(&b, "#%s: %s\n", q.Key, scalar(usual))
		} else {
			fmt.Fprintf(&b, "%s:\n", q.Key)
		}
	}
	return b.String()
}

// ReadAnswers reads a file of answers: one text for each key.
func ReadAnswers(path string) (Answers, error) {
	cannot := func(err error) error {
		return &session.Error{Kind: session.Invalid, Message: "The answers in " + path + " cannot be read", Next: "--questions prints a file of answers to fill in.", Err: err}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cannot(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, cannot(err)
	}
	values := map[string]any{}
	if err := yaml.NewDecoder(strings.NewReader(string(text)), yaml.Strict()).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		return nil, cannot(errors.New(yaml.FormatError(err, false, true)))
	}
	so := Answers{}
	for key, v := range values {
		switch v := v.(type) {
		case nil: // left as it was printed
		case string:
			so[key] = v
		case uint64, int64, int, float64, bool:
			so[key] = fmt.Sprint(v)
		default:
			return nil, cannot(fmt.Errorf("%.40s is not one text", key))
		}
	}
	return so, nil
}
