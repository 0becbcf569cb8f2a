package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/cmd/internal/config"
	"github.com/sallyport/sallyport/session"
)

type sample struct {
	Name  string `yaml:"name"`
	Rooms []room `yaml:"rooms"`
}

type room struct {
	Doors int `yaml:"doors"`
}

func (s *sample) Validate() error {
	var errs []error
	for i, r := range s.Rooms {
		if r.Doors != 2 {
			errs = append(errs, &session.BadField{Path: "$.rooms[" + string(rune('0'+i)) + "].doors", Problem: "a room has two doors"})
		}
	}
	return errors.Join(errs...)
}

func TestErrorsShowFileLineAndCaret(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"unknown field": {"name: a\nnmae: b\n", "nmae"},
		"wrong type":    {"name: a\nrooms: 7\n", "rooms: 7"},
		"duplicate":     {"name: a\nname: b\n", "name"},
		"bad value":     {"name: a\nrooms:\n- doors: 2\n- doors: 3\n", "- doors: 3"},
		"missing value": {"name: a\nrooms:\n- {}\n", "two doors"},
		"two documents": {"name: a\n---\nname: b\n", "one YAML document"},
		"broken":        {"name: [a\n", "name: [a"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.yaml")
			if err := os.WriteFile(path, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			err := config.Load(path, &sample{})
			if err == nil {
				t.Fatal("accepted")
			}
			if session.KindOf(err) != session.Invalid {
				t.Errorf("kind %q", session.KindOf(err))
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error does not name file and place:\n%v", err)
			}
			if name != "two documents" && !strings.Contains(err.Error(), "^") {
				t.Errorf("no caret:\n%v", err)
			}
		})
	}
}

func TestGoodFile(t *testing.T) {
	var s sample
	if err := config.Parse("x", []byte("name: a\nrooms: [{doors: 2}]\n"), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Rooms) != 1 {
		t.Fatalf("%+v", s)
	}
}

// What other systems' editors leave in a file changes nothing of what it says, nor where an
// error is shown.
func TestOtherEditors(t *testing.T) {
	for name, source := range map[string]string{
		"byte order mark":  "\ufeffname: a\nrooms:\n- doors: 2\n",
		"comment after it": "\ufeff# by hand\nname: a\nrooms:\n- doors: 2\n",
		"line ends of two": "name: a\r\nrooms:\r\n- doors: 2\r\n",
		"both":             "\ufeffname: a\r\n\r\n# x\r\nrooms:\r\n- doors: 2 # two\r\n",
		"a tab alone":      "name: a\nrooms:\n- doors: 2\n\t\n",
	} {
		var s sample
		if err := config.Parse("x.yaml", []byte(source), &s); err != nil || s.Name != "a" || len(s.Rooms) != 1 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for source, want := range map[string]string{
		"name: a\nrooms:\n\t- doors: 2\n": "line 3 is indented with a tab", "\xff\xfen\x00a\x00": "save it as UTF-8",
	} {
		if err := config.Parse("x.yaml", []byte(source), &sample{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", source, err)
		}
	}
	err := config.Parse("x.yaml", []byte("\ufeffname: a\r\nrooms:\r\n- doors: 3\r\n"), &sample{})
	if err == nil || !strings.Contains(err.Error(), "3 | - doors: 3") {
		t.Errorf("%v", err)
	}
}
