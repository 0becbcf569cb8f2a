package contact

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNamesOfContacts(t *testing.T) {
	for name, in := range map[string]bool{
		"file:/run/key": true, "gpio:/dev/gpiochip0:17": true, "serial:/dev/ttyS0:cts": true, "serial:/dev/ttyUSB0:dcd": true,
		"": false, "key": false, "/run/key": false, "file:key": false, "file:/run/../key": false, "usb:/dev/x:1": false,
		"gpio:/dev/gpiochip0": false, "gpio:/dev/gpiochip0:x": false, "gpio:/dev/gpiochip0:-1": false,
		"serial:/dev/ttyS0": false, "serial:/dev/ttyS0:rts": false, "serial:/dev/ttyS0:": false,
		"file:/" + strings.Repeat("x", 300): false,
	} {
		l, err := Parse(name)
		if err == nil {
			err = l.CheckInput()
		}
		if (err == nil) != in {
			t.Errorf("%q as an input: %v", name, err)
		}
	}
	for _, name := range []string{"serial:/dev/ttyS0:rts", "serial:/dev/ttyS0:dtr", "file:/run/lamp", "gpio:/dev/gpiochip0:0"} {
		if l, err := Parse(name); err != nil || l.CheckOutput() != nil {
			t.Errorf("%q is an output", name)
		}
	}
	if l, _ := Parse("serial:/dev/ttyS0:cts"); l.CheckOutput() == nil {
		t.Error("an input can be driven")
	}
}

// open gives the contact that a test has made.
func open(t *testing.T, name string) *Input {
	t.Helper()
	l, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Input()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

func TestOnlyAClearOneIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	in := open(t, "file:"+path)
	for _, content := range []string{"", "0", "0\n", "2", "1 1", "11", "yes", "\x00", " 1", "1\n\x00", strings.Repeat("1", 1000), "1" + strings.Repeat("\n", 1000) + "0"} {
		write(t, path, content)
		closed, err := in.Closed()
		if want := strings.HasPrefix(content, "1\n\n"); closed && !want {
			t.Errorf("%.10q counts as closed", content)
		}
		if clear := content == "0" || content == "0\n" || strings.HasPrefix(content, "1\n\n"); (err == nil) != clear {
			t.Errorf("%.10q: %v", content, err)
		}
	}
	for _, content := range []string{"1", "1\n", "1\r\n", "1 \n"} {
		write(t, path, content)
		if closed, err := in.Closed(); err != nil || !closed {
			t.Errorf("%q: %v %v", content, closed, err)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnOutputIsDrivenAndReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lamp")
	write(t, path, "0\n")
	l, err := Parse("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := l.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, on := range []bool{true, true, false, true} {
		if err := out.Set(on); err != nil {
			t.Fatal(err)
		}
		if lit, err := readFile(path); err != nil || lit != on {
			t.Errorf("set %v, is %v %v", on, lit, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if out.Set(false) == nil {
		t.Error("a lamp that is gone was driven")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a lamp that is gone was made of a file")
	}
}
