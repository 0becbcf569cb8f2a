package stories

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	console "github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/vnc"
)

// looker is a VNC viewer that remembers whether it has seen anything.
type looker struct{ seen atomic.Bool }

func (l *looker) Keep(c console.Change) error {
	for _, p := range c.Pix {
		if p != 0 {
			l.seen.Store(true)
			return nil
		}
	}
	return nil
}

// looks FILE: a VNC viewer reads where a console is served, and with which password, from
// the JSON in a file, and sees it; it goes on looking until the console is gone.
func cmdLooks(ts *testscript.TestScript, _ bool, args []string) {
	var at struct{ Listen, Password string }
	until(ts, args[0]+" says where the console is", func() error {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &at)
	})
	l := &looker{}
	until(ts, "the viewer gets in", func() error {
		conn, err := net.Dial("tcp", at.Listen)
		if err != nil {
			return err
		}
		c, err := vnc.Connect(context.Background(), conn, console.New(console.Masks{}, l), vnc.Config{Login: vnc.Login{Password: at.Password}})
		if err != nil {
			_ = conn.Close()
			return err
		}
		done := make(chan struct{})
		go func() { defer close(done); _ = c.Run() }()
		ts.Defer(func() { _ = c.Close(); <-done })
		return nil
	})
	until(ts, "the viewer sees something", func() error {
		if !l.seen.Load() {
			return errors.New("all is black")
		}
		return nil
	})
}

// says FILE REGEXP: sooner or later the file matches.
func cmdSays(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[1])
	until(ts, args[0]+" says "+args[1], func() error {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && !want.Match(b) {
			err = fmt.Errorf("so far: %.2000s", b)
		}
		return err
	})
}
