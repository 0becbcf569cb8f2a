// Package setup asks the few questions of a first day, writes a strict configuration with
// the comments of the samples, and says what to give to whom. It does nothing that the
// page on installing does not say, and never writes over a file.
package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/sallyport/sallyport/session"
)

// Answers are what was said, by the questions' keys. All questions have one.
type Answers map[string]string

// Handout is what somebody has to be told.
type Handout struct {
	To    string   `json:"to"`
	Lines []string `json:"lines"`
}

// Render fills a configuration's text with answers.
func Render(text string, a Answers) ([]byte, error) {
	t, err := template.New("configuration").Option("missingkey=error").Funcs(template.FuncMap{"q": scalar, "list": list, "product": product}).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]string(a))
	return out.Bytes(), err
}

var plain = regexp.MustCompile(`^[A-Za-z0-9/][-A-Za-z0-9 ._/@<>=?+:%*]*$`)

// scalar is a value as YAML takes it for text: as it is where nothing else could be meant.
func scalar(s string) string {
	_, number := strconv.ParseFloat(s, 64)
	_, other := strconv.ParseInt(s, 0, 64)
	word := strings.ToLower(s)
	if !plain.MatchString(s) || number == nil || other == nil || strings.Contains(s, ": ") || strings.HasSuffix(s, ":") ||
		strings.TrimSpace(s) != s || word == "true" || word == "false" || word == "null" {
		return strconv.Quote(s)
	}
	return s
}

// list is values that stand with commas between them.
func list(s string) string {
	var all []string
	for _, v := range strings.Split(s, ",") {
		all = append(all, scalar(strings.TrimSpace(v)))
	}
	return strings.Join(all, ", ")
}

// Absent refuses a path at which something stands already.
func Absent(path string) error {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look for %s: %w", path, err)
	}
	return session.Errorf(session.Refused, "There is a configuration at %s already, and setup never writes over one", path).
		WithNext("Edit that one, or name another with --config.")
}

// Write puts a configuration where none is, readable by everybody: it holds no secret.
func Write(path string, text []byte) error {
	cannot := func(err error) error {
		return &session.Error{Kind: session.Invalid, Message: "The configuration " + path + " cannot be written", Next: "Run it as root, or name another file with --config.", Err: err}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return cannot(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return Absent(path)
	}
	if err != nil {
		return cannot(err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return cannot(errors.Join(err, os.Remove(path)))
	}
	return nil
}
