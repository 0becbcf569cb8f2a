// Package config reads the strict YAML files of broker and agent for their
// commands: an unknown or unusable field is an error that shows file, line and
// caret. It knows YAML and nothing of what the fields mean.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/secret"
)

// Validator is a configuration that knows its own rules. Its errors may be
// *session.BadField, joined or alone; Load shows where each stands.
type Validator interface {
	Validate() error
}

// Load reads path into into and validates it.
func Load(path string, into Validator) error {
	source, err := read(path)
	if err != nil {
		return &session.Error{Kind: session.Invalid, Message: fmt.Sprintf("The configuration %s cannot be read", path), Next: "Check the path and its permissions.", Err: err}
	}
	if err := Parse(path, source, into); err != nil {
		return err
	}
	return nil
}

// Parse is Load on bytes; path only names them. What editors of other systems leave in a
// file is taken: a byte order mark, and line ends of two bytes.
func Parse(path string, source []byte, into Validator) error {
	source = bytes.ReplaceAll(bytes.TrimPrefix(source, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	source = blankLine.ReplaceAll(source, nil)
	if n := tabbed(source); n > 0 {
		return refusal(path, fmt.Sprintf("line %d is indented with a tab, which YAML does not know; use blanks", n))
	}
	if bytes.ContainsRune(source, 0) {
		return refusal(path, "this is not UTF-8 text; save it as UTF-8")
	}
	dec := yaml.NewDecoder(bytes.NewReader(source), yaml.Strict(), yaml.DisallowUnknownField())
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return refusal(path, yaml.FormatError(err, false, true))
	}
	var extra any
	if err := dec.Decode(&extra); !errors.Is(err, io.EOF) {
		return refusal(path, "only one YAML document is expected")
	}
	if err := into.Validate(); err != nil {
		return refusal(path, annotate(source, err))
	}
	return nil
}

// tabbed is the first line with a tab in front of what it says; 0: there is none.
func tabbed(source []byte) int {
	at := tabIndent.FindIndex(source)
	if at == nil {
		return 0
	}
	return 1 + bytes.Count(source[:at[0]], []byte("\n"))
}

var (
	blankLine = regexp.MustCompile(`(?m)^[ \t]+$`)
	tabIndent = regexp.MustCompile(`(?m)^ *\t`)
)

func refusal(path, details string) error {
	return &session.Error{Kind: session.Invalid, Message: path + ": " + conceal(details), Next: "Mend the file and start again."}
}

// conceal hides the values of fields that hold secrets from the source that is shown:
// somebody may have written one inline. References stay, they are no secret.
func conceal(source string) string {
	return secretField.ReplaceAllStringFunc(source, func(line string) string {
		at := secretField.FindStringSubmatchIndex(line)
		value := line[at[4]:at[5]]
		if _, err := secret.Parse(strings.Trim(value, `"' `)); err == nil {
			return line
		}
		return line[:at[4]] + "(not shown)"
	})
}

var secretField = regexp.MustCompile(`(?mi)\b(password|passphrase|secret|token|key)["']?\s*:[ \t]*("[^"\n]*"?|'[^'\n]*'?|[^\s,}"'][^\n,}]*)`)

// annotate points at each bad field in the source.
func annotate(source []byte, err error) string {
	var out bytes.Buffer
	for i, e := range flatten(err) {
		if i > 0 {
			out.WriteString("\n")
		}
		var bad *session.BadField
		if !errors.As(e, &bad) {
			out.WriteString(e.Error())
			continue
		}
		out.WriteString(bad.Error())
		if place := show(source, bad.Path); place != "" {
			out.WriteString("\n" + place)
		}
	}
	return out.String()
}

// show is the source around a path, with a caret; it climbs to the nearest parent
// that stands in the file when the field itself is missing.
func show(source []byte, path string) string {
	for path != "" && path != "$" {
		p, err := yaml.PathString(path)
		if err == nil {
			if marked, err := p.AnnotateSource(source, false); err == nil {
				return string(marked)
			}
		}
		path = parent(path)
	}
	return ""
}

func parent(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(b) > maxBytes {
		err = fmt.Errorf("larger than %d bytes", maxBytes)
	}
	return b, err
}
