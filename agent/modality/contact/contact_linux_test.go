package contact

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What stands where the file was must not make the reader wait, nor count.
func TestWhatIsNoFileIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	in := open(t, "file:"+path)
	l, _ := Parse("file:" + path)
	out, err := l.Output()
	if err != nil {
		t.Fatal(err)
	}
	for what, put := range map[string]func() error{
		"nothing":        func() error { return nil },
		"a directory":    func() error { return os.Mkdir(path, 0o700) },
		"a pipe":         func() error { return unix.Mkfifo(path, 0o600) },
		"a terminal":     func() error { return os.Symlink("/dev/ptmx", path) },
		"a loop":         func() error { return os.Symlink(path, path) },
		"endless zeroes": func() error { return os.Symlink("/dev/zero", path) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if closed, err := in.Closed(); closed || err == nil {
			t.Errorf("%s was read as %v", what, closed)
		}
		if out.Set(true) == nil {
			t.Errorf("%s was driven", what)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A pseudo-terminal has no modem lines: the kernel says so, and nobody takes it for a key.
func TestAPseudoTerminalHasNoModemLines(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = master.Close() }()
	var unlock, number int32
	if err := control(master, unix.TIOCSPTLCK, &unlock); err != nil {
		t.Fatal(err)
	}
	if err := control(master, unix.TIOCGPTN, &number); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cts", "dsr", "dcd"} {
		l, err := Parse(fmt.Sprintf("serial:/dev/pts/%d:%s", number, name))
		if err != nil {
			t.Fatal(err)
		}
		if in, err := l.Input(); err == nil {
			closed, err := in.Closed()
			t.Errorf("%s of a pseudo-terminal reads %v %v", name, closed, err)
		} else if !strings.Contains(err.Error(), "no modem lines") {
			t.Error(err)
		}
	}
	for _, name := range []string{"serial:/dev/null:cts", "gpio:/dev/null:1", "gpio:/nowhere:1", "serial:/tmp:cts"} {
		l, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Input(); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}

// The kernel's own header is the oracle of the layout that is handed to it.
func TestGPIOIsLaidOutAsTheKernelSays(t *testing.T) {
	dir := t.TempDir()
	source, program := filepath.Join(dir, "gpio.c"), filepath.Join(dir, "gpio")
	write(t, source, `#include <linux/gpio.h>
#include <stddef.h>
#include <stdio.h>
int main(void) {
  printf("%zu %zu %zu %zu %zu %zu\n", sizeof(struct gpio_v2_line_request), offsetof(struct gpio_v2_line_request, consumer),
    offsetof(struct gpio_v2_line_request, config), offsetof(struct gpio_v2_line_request, num_lines),
    offsetof(struct gpio_v2_line_request, fd), sizeof(struct gpio_v2_line_values));
  printf("%lx %lx %lx\n", (unsigned long)GPIO_V2_GET_LINE_IOCTL, (unsigned long)GPIO_V2_LINE_GET_VALUES_IOCTL, (unsigned long)GPIO_V2_LINE_SET_VALUES_IOCTL);
  printf("%d %d %d %d\n", GPIO_V2_LINE_FLAG_ACTIVE_LOW, GPIO_V2_LINE_FLAG_INPUT, GPIO_V2_LINE_FLAG_OUTPUT, GPIO_V2_LINE_FLAG_BIAS_PULL_UP);
}
`)
	if said, err := exec.Command("gcc", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	kernel, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	var r gpioRequest
	ours := fmt.Sprintf("%d %d %d %d %d %d\n%x %x %x\n%d %d %d %d\n",
		unsafe.Sizeof(r), unsafe.Offsetof(r.consumer), unsafe.Offsetof(r.flags), unsafe.Offsetof(r.numLines), unsafe.Offsetof(r.fd), unsafe.Sizeof(gpioValues{}),
		gpioGetLine, gpioGetValues, gpioSetValues, gpioActiveLow, gpioIsInput, gpioIsOutput, gpioBiasPullUp)
	if string(kernel) != ours {
		t.Errorf("the kernel says\n%sand we\n%s", kernel, ours)
	}
}
