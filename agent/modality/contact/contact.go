// Package contact reads and drives a single electrical contact at the agent's host: a file
// of the system, a line of a GPIO chip or a modem line of a serial port. It knows nothing of
// what the contact stands for. An input is closed only where the hardware clearly says so;
// every doubt is an error, and whoever asks treats an error as open.
package contact

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Line names a contact, as it is written in the configuration:
//
//	file:/sys/class/gpio/gpio17/value   "1" is closed (or lit), "0" is open
//	gpio:/dev/gpiochip0:17              a switch to ground, or a lamp that a 1 lights
//	serial:/dev/ttyS0:cts               inputs cts, dsr, dcd, ri; outputs rts, dtr
type Line struct {
	kind, path, name string
	number           uint32
}

// Inputs and outputs of a serial port that can be named.
const serialInputs, serialOutputs = "cts dsr dcd ri", "rts dtr"

var errWords = errors.New(`a contact looks like "file:/path", "gpio:/dev/gpiochip0:17" or "serial:/dev/ttyS0:cts"`)

// Parse reads a contact's name; it looks at no hardware.
func Parse(s string) (Line, error) {
	kind, rest, ok := strings.Cut(s, ":")
	l := Line{kind: kind, path: rest}
	if !ok || len(s) > maxWords {
		return Line{}, errWords
	}
	switch kind {
	case "file":
	case "gpio", "serial":
		i := strings.LastIndexByte(rest, ':')
		if i < 0 {
			return Line{}, errWords
		}
		l.path, l.name = rest[:i], rest[i+1:]
		if kind == "serial" {
			break
		}
		n, err := strconv.ParseUint(l.name, 10, 16)
		if err != nil {
			return Line{}, fmt.Errorf("the line of a GPIO chip is a number: %q is none", l.name)
		}
		l.number = uint32(n)
	default:
		return Line{}, errWords
	}
	if !filepath.IsAbs(l.path) || filepath.Clean(l.path) != l.path {
		return Line{}, fmt.Errorf("the path of a contact is absolute and plain: %q is not", l.path)
	}
	return l, nil
}

// CheckInput reports a line that cannot be read.
func (l Line) CheckInput() error { return l.check(serialInputs) }

// CheckOutput reports a line that cannot be driven.
func (l Line) CheckOutput() error { return l.check(serialOutputs) }

func (l Line) check(names string) error {
	if l.kind == "serial" && !slices.Contains(strings.Fields(names), l.name) {
		return fmt.Errorf("a serial port has the lines %s for this, not %q", names, l.name)
	}
	return nil
}

// Input is a contact that is read. It belongs to one goroutine.
type Input struct {
	closed func() (bool, error)
	end    func() error
}

// Closed reads the contact now.
func (i *Input) Closed() (bool, error) { return i.closed() }

// Close lets the contact go.
func (i *Input) Close() error { return i.end() }

// Output is a contact that is driven. It belongs to one goroutine.
type Output struct {
	set func(on bool) error
	end func() error
}

// Set drives the contact and makes sure that it took it.
func (o *Output) Set(on bool) error { return o.set(on) }

// Close lets the contact go. A line of the kernel falls back to its state at rest; a file
// keeps what was last written.
func (o *Output) Close() error { return o.end() }

// Input opens the line for reading.
func (l Line) Input() (*Input, error) {
	if err := l.CheckInput(); err != nil {
		return nil, err
	}
	switch l.kind {
	case "file":
		// opened anew each time: a file that was replaced is not read through an old handle
		return &Input{closed: func() (bool, error) { return readFile(l.path) }, end: func() error { return nil }}, nil
	case "gpio":
		return gpioInput(l)
	default:
		return serialInput(l)
	}
}

// Output opens the line for driving.
func (l Line) Output() (*Output, error) {
	if err := l.CheckOutput(); err != nil {
		return nil, err
	}
	switch l.kind {
	case "file":
		return &Output{set: func(on bool) error { return writeFile(l.path, on) }, end: func() error { return nil }}, nil
	case "gpio":
		return gpioOutput(l)
	default:
		return serialOutput(l)
	}
}

// regular opens a file that is a plain one, and waits for nobody: a pipe would.
func regular(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|nonblock, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a plain file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func readFile(path string) (bool, error) {
	f, err := regular(path, os.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return false, err
	}
	switch strings.TrimRight(string(raw), " \r\n") {
	case "1":
		return true, nil
	case "0":
		return false, nil
	}
	return false, fmt.Errorf("%s says neither 0 nor 1", path)
}

func writeFile(path string, on bool) error {
	f, err := regular(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	value := "0\n"
	if on {
		value = "1\n"
	}
	_, err = f.WriteString(value)     // over what is there: nobody reads an empty file in between
	_ = f.Truncate(int64(len(value))) // files of the kernel have no length; what it took is read below
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if took, err := readFile(path); err != nil || took != on {
		return errors.Join(fmt.Errorf("%s did not take %q", path, value[:1]), err)
	}
	return nil
}
