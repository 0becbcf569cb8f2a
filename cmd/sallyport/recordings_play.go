package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// playback is how a replay runs.
type playback struct {
	speed float64
	idle  time.Duration
	plain bool
	at    time.Duration
	typed withInput

	noBrowser bool // of a console: its address is printed alone
}

func (p *program) recordingsPlayCommand() *cobra.Command {
	var how playback
	c := p.onRecording(&cobra.Command{
		Use:   "play RECORDING|FILE",
		Short: "Replay a recording",
		Long: `Replay a recording in this terminal, in its own time. What could make your terminal
answer, copy, rename itself or change your keys is left out and counted at the end;
colours and cursor movement are shown. Into a file or a pipe, or with --plain, the
replay is a plain transcript at once: lines, and of editors, pagers and monitors the
screens on which they rested. With --at it begins at a moment: what stood on the
screen then is drawn from the recording's own picture, and nothing before it is read.
A file that was fetched, or a recording's directory in a vault, is played without an
account. Replaying does not verify: see "recordings verify".

A console is shown in the browser by a player on this machine alone: nothing is asked of
the broker, and it ends with Ctrl-C. However long it was, it opens at once: what is looked
at is read first, and marks and activity appear as the rest is read. With --with-input the pointer is drawn where it was.
With -o json one line is printed: {"listen": "127.0.0.1:N", "url": "http://..."}.`,
		Example: `  sallyport recordings play V-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason "Complaint 12" --speed 4
  sallyport recordings play V-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason "Complaint 12" --plain | grep swversion
  sallyport recordings play evidence.sally --at 50m`,
	}, &how.typed, func() error {
		if how.at < 0 {
			return usage("A moment is not before the beginning").WithNext("Try --at 50m.")
		}
		if how.speed < 0.01 || how.speed > 1000 || how.idle < 0 {
			return usage("Speed is a number from 0.01 to 1000, and idle is not negative").WithNext("Try --speed 4 --idle 1s.")
		}
		return nil
	}, func(ctx context.Context, t openRecording) error {
		if t.Header().Protocol.Shows() {
			return p.playConsole(ctx, t, how)
		}
		from, err := seek(t, how.at)
		if err != nil {
			return err
		}
		if t = from; how.at == 0 {
			var done func()
			t, done = p.checked(from.openRecording)
			defer done()
		}
		switch {
		case p.asJSON():
			return p.playJSON(t, how.typed.wanted)
		case how.plain || !isTerminal(p.stdout):
			return p.transcript(from, how, t)
		default:
			return p.replay(ctx, t, from, how)
		}
	})
	c.Flags().Float64Var(&how.speed, "speed", 1, "how many times faster")
	c.Flags().DurationVar(&how.idle, "idle", 2*time.Second, "show no pause longer than this")
	c.Flags().DurationVar(&how.at, "at", 0, "begin at this moment, for example 50m")
	c.Flags().BoolVar(&how.plain, "plain", false, "write a transcript without timing and colours")
	c.Flags().BoolVar(&how.noBrowser, "no-browser", false, "print a console's address instead of opening a browser")
	return c
}

// each hands over a recording's events in their order.
func each(t openRecording, do func(session.Event) error) error {
	for {
		e, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = do(e)
		}
		if err != nil {
			return err
		}
	}
}

// replay shows output in time. Remarks stand on lines of their own, marked.
func (p *program) replay(ctx context.Context, t openRecording, from soughtRecording, how playback) error {
	screen, input := display.NewFilter(p.stdout), how.typed.wanted
	defer func() {
		fmt.Fprint(p.stdout, display.Undo)
		if screen.Dropped > 0 {
			p.say("%d control sequences were not replayed; the recording has them.", screen.Dropped)
		}
	}()
	last := from.at
	if how.at > 0 {
		t = from.openRecording // what happened in its segment before the moment is drawn at once
	}
	for _, s := range from.stood {
		if drawn, err := session.ParseScreen(s.Data); err == nil && s.Kind == session.TerminalSnapshot {
			_, _ = io.WriteString(p.stdout, "\x1b[H\x1b[2J")
			_, _ = screen.Write(drawn.Draw)
		}
	}
	err := each(t, func(e session.Event) error {
		if ctx.Err() != nil {
			return io.EOF
		}
		gap := min(time.Duration(float64(e.At-last)/how.speed)*time.Microsecond, how.idle)
		last = max(last, e.At)
		if gap > 0 {
			if err := pause(ctx, gap); err != nil {
				return io.EOF
			}
		}
		if e.Kind == session.Output || e.Kind == session.ErrorOutput {
			_, err := screen.Write(e.Data)
			return err
		}
		if words := remark(e, input); words != "" {
			fmt.Fprintf(p.stdout, "\r\n\x1b[2m[%s] %s\x1b[0m\r\n", offset(e.At), wording.Clean(words))
		}
		return nil
	})
	if errors.Is(err, io.EOF) {
		return nil // Ctrl-C ends a replay; there is nothing to explain
	}
	return err
}

// transcript writes text for files and pipes: remarks between brackets, output as lines
// and screens of plain text.
func (p *program) transcript(from soughtRecording, how playback, t openRecording) error {
	text := terminal.NewText()
	if how.at > 0 {
		t, text = from.openRecording, terminal.TextFrom(terminal.Drawn(from.stood), nil, 0)
	}
	write := func() error {
		for _, l := range text.Lines() {
			if l.At < from.at {
				continue
			}
			if _, err := fmt.Fprintln(p.stdout, l.Text); err != nil {
				return err
			}
		}
		return nil
	}
	err := each(t, func(e session.Event) error {
		words := ""
		if e.At >= from.at {
			words = remark(e, how.typed.wanted)
		}
		if words != "" {
			text.Flush()
		}
		text.Take(e)
		if err := write(); err != nil || words == "" {
			return err
		}
		_, err := fmt.Fprintf(p.stdout, "[%s] %s\n", offset(e.At), wording.Clean(words))
		return err
	})
	text.Flush()
	return errors.Join(err, write())
}

// playedEvent is the JSON of one event. Text is for reading; bytes that are not
// UTF-8 are replaced in it.
type playedEvent struct {
	At     int64           `json:"at"` // microseconds
	Kind   string          `json:"kind"`
	Stream uint32          `json:"stream"`
	Bytes  int             `json:"bytes"`
	Text   string          `json:"text,omitempty"`
	Detail json.RawMessage `json:"detail,omitempty"`
}

// playJSON writes a bare array, event by event.
func (p *program) playJSON(t openRecording, input bool) error {
	between, end := "[\n", "[]"
	err := each(t, func(e session.Event) error {
		v := playedEvent{At: e.At, Kind: cast.KindWord(e.Kind), Stream: e.Stream, Bytes: len(e.Data)}
		switch {
		case e.Kind == session.Output || e.Kind == session.ErrorOutput || e.Kind == session.Signal || input && e.Kind == session.Input:
			v.Text = string(e.Data)
		case json.Valid(e.Data) && !e.Kind.Sealed() && e.Kind != session.Download:
			v.Detail = e.Data
		}
		if _, err := io.WriteString(p.stdout, between); err != nil {
			return err
		}
		between, end = ",\n", "]"
		return display.JSON(p.stdout, v)
	})
	if err == nil {
		_, err = fmt.Fprintln(p.stdout, end)
	}
	return err
}

// remark says what an event was, for people, with what was typed on request; empty for those that say nothing.
func remark(e session.Event, input bool) string {
	switch e.Kind {
	case session.Input:
		if input && len(e.Data) > 0 { // it was opened
			return "typed: " + typedWords(e.Data)
		}
	case session.ChannelOpened:
		var c session.ChannelOpen
		if json.Unmarshal(e.Data, &c) != nil {
			return "a channel was opened"
		}
		switch {
		case c.Command != "":
			return "command: " + c.Command
		case c.Type == session.Shell:
			return fmt.Sprintf("shell opened (%s, %d x %d)", cmp.Or(c.Term, "no terminal"), c.Cols, c.Rows)
		default:
			return string(c.Type) + " opened"
		}
	case session.Exit:
		var x session.ExitStatus
		if json.Unmarshal(e.Data, &x) == nil && x.Signal != "" {
			return "ended by signal " + x.Signal
		}
		return fmt.Sprintf("ended with status %d", x.Status)
	case session.Signal:
		return "signal " + string(e.Data)
	case session.FileClosed:
		var s session.FileSummary
		if json.Unmarshal(e.Data, &s) != nil {
			return "a file was closed"
		}
		text := fmt.Sprintf("file %s, %s, %d bytes, %s", directionWord(s.Direction), s.Path, s.Size, wording.Hash(s.Moved))
		if s.Back != nil {
			text += fmt.Sprintf("; read back, %d bytes, %s", s.Back.Size, wording.Hash(*s.Back))
		}
		return text
	case session.FileAction:
		var a session.FileChange
		if json.Unmarshal(e.Data, &a) != nil {
			return "a file was changed"
		}
		return strings.TrimSpace(strings.Join([]string{"file", a.Action, a.Path, a.Target, prefixed("failed: ", a.Error)}, " "))
	case session.NotAllowed:
		var r session.Refusal
		if json.Unmarshal(e.Data, &r) != nil {
			return "something was refused"
		}
		return "refused: " + strings.TrimSpace(r.What+" "+r.Detail)
	case session.Marker:
		var n session.Note
		if json.Unmarshal(e.Data, &n) != nil {
			return "a remark of the agent"
		}
		return n.Text
	}
	return ""
}

// typedWords shows keys as people name them.
func typedWords(b []byte) string {
	return strings.NewReplacer("\r", "<Enter>", "\n", "<Enter>", "\t", "<Tab>", "\x7f", "<Backspace>", "\x1b", "<Esc>", "\x03", "<Ctrl-C>", "\x04", "<Ctrl-D>").Replace(string(b))
}

func directionWord(c session.Channel) string {
	if c == session.FilesIn {
		return "to the scanner"
	}
	return "from the scanner"
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// offset is the time since the recording began, as 1:02:03 or 2:03.
func offset(micro int64) string {
	s := micro / 1e6
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
