package contact

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const nonblock = unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// The kernel's interface of a GPIO chip, second version (linux/gpio.h).
const (
	gpioGetLine   = 0xc250b407
	gpioGetValues = 0xc010b40e
	gpioSetValues = 0xc010b40f

	gpioActiveLow  = 1 << 1
	gpioIsInput    = 1 << 2
	gpioIsOutput   = 1 << 3
	gpioBiasPullUp = 1 << 8
)

type gpioRequest struct {
	offsets  [64]uint32
	consumer [32]byte
	flags    uint64
	_        [6]uint32     // number of attributes, padding
	_        [10][3]uint64 // attributes
	numLines uint32
	_        [6]uint32 // size of the buffer of events, padding
	fd       int32
}

type gpioValues struct{ bits, mask uint64 }

// device opens a character device without waiting for a carrier or a peer.
func device(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|nonblock, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode()&os.ModeCharDevice == 0 {
		err = fmt.Errorf("%s is not a device", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// control asks the kernel about an open device, with an argument that it reads and writes.
func control[T any](f *os.File, request uintptr, arg *T) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var errno unix.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(arg)))
	}); err != nil {
		return err
	}
	if errno != 0 {
		return fmt.Errorf("%s: %w", f.Name(), errno)
	}
	return nil
}

// gpioLine takes the line of a chip; it is ours until the file is closed.
func gpioLine(l Line, flags uint64) (*os.File, error) {
	chip, err := device(l.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = chip.Close() }()
	r := gpioRequest{flags: flags, numLines: 1}
	r.offsets[0] = l.number
	copy(r.consumer[:], "sallyport")
	if err := control(chip, gpioGetLine, &r); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(r.fd), fmt.Sprintf("%s line %d", l.path, l.number)), nil
}

// gpioInput reads a switch between the line and ground. The pull-up makes a broken wire an
// open contact.
func gpioInput(l Line) (*Input, error) {
	f, err := gpioLine(l, gpioIsInput|gpioActiveLow|gpioBiasPullUp)
	if err != nil {
		return nil, err
	}
	return &Input{end: f.Close, closed: func() (bool, error) {
		v := gpioValues{mask: 1}
		err := control(f, gpioGetValues, &v)
		return err == nil && v.bits&1 == 1, err
	}}, nil
}

func gpioOutput(l Line) (*Output, error) {
	f, err := gpioLine(l, gpioIsOutput)
	if err != nil {
		return nil, err
	}
	return &Output{end: f.Close, set: func(on bool) error {
		v := gpioValues{mask: 1}
		if on {
			v.bits = 1
		}
		if err := control(f, gpioSetValues, &v); err != nil {
			return err
		}
		took := gpioValues{mask: 1}
		if err := control(f, gpioGetValues, &took); err != nil {
			return err
		}
		if took.bits&1 != v.bits {
			return fmt.Errorf("%s did not take %d", f.Name(), v.bits)
		}
		return nil
	}}, nil
}

// modemBit is a line of a serial port, as the kernel counts them.
func modemBit(name string) int32 {
	switch name {
	case "cts":
		return unix.TIOCM_CTS
	case "dsr":
		return unix.TIOCM_DSR
	case "dcd":
		return unix.TIOCM_CD
	case "ri":
		return unix.TIOCM_RI
	case "rts":
		return unix.TIOCM_RTS
	default:
		return unix.TIOCM_DTR
	}
}

// serial opens a port; outputs of it that are not named are driven as supply says.
func serial(l Line, supply int32) (*os.File, error) {
	f, err := device(l.path)
	if err != nil {
		return nil, err
	}
	var bits int32
	if err := control(f, unix.TIOCMGET, &bits); err != nil {
		_ = f.Close()
		return nil, errors.Join(fmt.Errorf("%s has no modem lines", l.path), err)
	}
	if err := control(f, unix.TIOCMBIS, &supply); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// serialInput reads a modem line that the switch connects to rts or dtr, which supply it.
func serialInput(l Line) (*Input, error) {
	f, err := serial(l, unix.TIOCM_RTS|unix.TIOCM_DTR)
	if err != nil {
		return nil, err
	}
	return &Input{end: f.Close, closed: func() (bool, error) {
		var bits int32
		err := control(f, unix.TIOCMGET, &bits)
		return err == nil && bits&modemBit(l.name) != 0, err
	}}, nil
}

func serialOutput(l Line) (*Output, error) {
	f, err := serial(l, 0)
	if err != nil {
		return nil, err
	}
	return &Output{end: f.Close, set: func(on bool) error {
		bit, request := modemBit(l.name), uintptr(unix.TIOCMBIC)
		if on {
			request = unix.TIOCMBIS
		}
		if err := control(f, request, &bit); err != nil {
			return err
		}
		var took int32
		if err := control(f, unix.TIOCMGET, &took); err != nil {
			return err
		}
		if (took&bit != 0) != on {
			return fmt.Errorf("%s %s did not take it", l.path, l.name)
		}
		return nil
	}}, nil
}
