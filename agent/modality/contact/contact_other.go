//go:build !linux

package contact

import "errors"

const nonblock = 0

var errLinux = errors.New("GPIO and serial lines are read on Linux only; name a file")

func gpioInput(Line) (*Input, error)     { return nil, errLinux }
func gpioOutput(Line) (*Output, error)   { return nil, errLinux }
func serialInput(Line) (*Input, error)   { return nil, errLinux }
func serialOutput(Line) (*Output, error) { return nil, errLinux }
