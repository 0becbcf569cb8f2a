package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// keep runs a child process of our own binary until ctx ends. A child that dies
// is started again; it dies with us, because its standard input is a pipe that we hold.
func (w *world) keep(ctx context.Context, name string, args ...string) error {
	out, err := os.OpenFile(w.path("logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the %s's log: %w", name, err)
	}
	defer out.Close()
	pause := shortestPause
	for ctx.Err() == nil {
		began := time.Now()
		err := w.once(ctx, name, args, out)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > stableAfter {
			pause = shortestPause
		}
		w.o.Log.Warn("a child ended and is started again", "child", name, "err", err, "pause", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

// once runs one process to its end.
func (w *world) once(ctx context.Context, name string, args []string, out io.Writer) error {
	cmd := exec.Command(w.o.Exe, args...)
	cmd.Stdout, cmd.Stderr = out, out
	// An interrupt at the terminal is ours to pass on, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer hold.Close()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the %s: %w", name, err)
	}
	w.started(name, cmd.Process.Pid)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return stop(cmd.Process, done)
	}
}

// stop asks, waits, and insists. A stopped (SIGSTOP) process is woken so that it can hear.
func stop(p *os.Process, done <-chan error) error {
	_ = p.Signal(syscall.SIGTERM)
	_ = p.Signal(syscall.SIGCONT)
	select {
	case err := <-done:
		return err
	case <-time.After(stopPatience):
		return errors.Join(p.Kill(), <-done)
	}
}
