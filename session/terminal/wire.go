package terminal

import (
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Pty is the terminal that an engineer has, as RFC 4254 section 6.2 says it. Pixel sizes
// are zero: a recording has none.
type Pty struct {
	Term          string
	Cols, Rows    uint32
	Width, Height uint32
	Modes         string // encoded (section 8); NoModes for none
}

// NoModes are terminal modes that say nothing.
const NoModes = "\x00"

// windowChange is RFC 4254 section 6.7.
type windowChange struct {
	Cols, Rows    uint32
	Width, Height uint32
}

// oneString is the payload of exec, subsystem and signal.
type oneString struct{ Value string }

// parsePty reads a pty-req strictly. What it returns is what may be forwarded:
// modes in canonical form, and no pixel sizes, because a recording has none.
func parsePty(payload []byte) (Pty, error) {
	var p Pty
	if err := ssh.Unmarshal(payload, &p); err != nil {
		return Pty{}, fmt.Errorf("malformed pty request")
	}
	if len(p.Term) > maxTerm || !printable(p.Term) {
		return Pty{}, fmt.Errorf("terminal type is not plain text of at most %d bytes", maxTerm)
	}
	modes, err := canonicalModes(p.Modes)
	if err != nil {
		return Pty{}, err
	}
	return Pty{Term: p.Term, Cols: min(p.Cols, maxSize), Rows: min(p.Rows, maxSize), Modes: modes}, nil
}

// canonicalModes checks encoded terminal modes (RFC 4254 section 8) and ends them
// with TTY_OP_END exactly once.
func canonicalModes(modes string) (string, error) {
	if len(modes) > maxModes {
		return "", fmt.Errorf("terminal modes are longer than %d bytes", maxModes)
	}
	rest := modes
	for len(rest) > 0 && rest[0] != 0 {
		if rest[0] >= 160 || len(rest) < 5 {
			return "", fmt.Errorf("malformed terminal modes")
		}
		rest = rest[5:]
	}
	if len(rest) > 1 {
		return "", fmt.Errorf("terminal modes go on after their end")
	}
	return modes[:len(modes)-len(rest)] + "\x00", nil
}

// note says everything of a pty request that will be forwarded, for the record.
func (p Pty) note() string {
	return fmt.Sprintf("terminal %q, %d columns, %d rows, %s", p.Term, p.Cols, p.Rows, modeWords(p.Modes))
}

func parseWindow(payload []byte) (session.WindowSize, error) {
	var w windowChange
	if err := ssh.Unmarshal(payload, &w); err != nil {
		return session.WindowSize{}, fmt.Errorf("malformed window change")
	}
	return session.WindowSize{Cols: min(w.Cols, maxSize), Rows: min(w.Rows, maxSize)}, nil
}

func parseNothing(payload []byte) error {
	if len(payload) != 0 {
		return fmt.Errorf("malformed: nothing belongs there")
	}
	return nil
}

func parseCommand(payload []byte) (string, error) {
	var s oneString
	switch err := ssh.Unmarshal(payload, &s); {
	case err != nil:
		return "", fmt.Errorf("malformed command")
	case len(s.Value) > maxCommand:
		return "", fmt.Errorf("command is longer than %d bytes", maxCommand)
	}
	return s.Value, nil
}

// commandOpen is how a command opens its channel: legible, and with its length where
// that is not all of it.
func commandOpen(command string) session.ChannelOpen {
	open := session.ChannelOpen{Type: session.Exec, Command: command}
	if len(command) <= legibleBytes && utf8.ValidString(command) {
		return open
	}
	open.Bytes = len(command)
	var b strings.Builder
	for b.Len() < legibleBytes && command != "" {
		r, n := utf8.DecodeRuneInString(command)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, command[0])
		} else {
			b.WriteRune(r)
		}
		command = command[n:]
	}
	if command != "" {
		b.WriteString(" …")
	}
	open.Command = b.String()
	return open
}

// variable is RFC 4254 section 6.4.
type variable struct{ Name, Value string }

// parseVariable reads an env request: a plain name, and a value without what old shells
// take for a function or a terminal for a command.
func parseVariable(payload []byte) (variable, error) {
	var v variable
	switch err := ssh.Unmarshal(payload, &v); {
	case err != nil || v.Name == "" || len(v.Name) > maxTerm || !printable(v.Name) || strings.Contains(v.Name, "="):
		return variable{}, fmt.Errorf("malformed variable")
	case len(v.Value) > maxVariable || !wording.Plain(v.Value) || strings.HasPrefix(v.Value, "()"):
		return v, fmt.Errorf("%s has a value that is not short, plain text", v.Name)
	}
	return v, nil
}

// parseSignal reads a signal name such as "INT" or "INFO@openssh.com".
func parseSignal(payload []byte) (string, error) {
	var s oneString
	if err := ssh.Unmarshal(payload, &s); err != nil || s.Value == "" || len(s.Value) > maxSignal || !printable(s.Value) {
		return "", fmt.Errorf("malformed signal name")
	}
	return s.Value, nil
}

// parseExit reads exit-status and exit-signal. A device's error text and language
// tag are not passed on.
func parseExit(kind string, payload []byte) (session.ExitStatus, error) {
	if kind == "exit-status" {
		if len(payload) != 4 {
			return session.ExitStatus{}, fmt.Errorf("malformed exit status")
		}
		return session.ExitStatus{Status: binary.BigEndian.Uint32(payload)}, nil
	}
	var s struct {
		Name string
		Core bool
		Text string
		Lang string
	}
	if err := ssh.Unmarshal(payload, &s); err != nil || s.Name == "" || len(s.Name) > maxSignal || !printable(s.Name) {
		return session.ExitStatus{}, fmt.Errorf("malformed exit signal")
	}
	return session.ExitStatus{Status: 255, Signal: s.Name}, nil
}

// exitRequest is how an exit status travels to the engineer.
func exitRequest(x session.ExitStatus) (string, []byte) {
	if x.Signal == "" {
		return "exit-status", binary.BigEndian.AppendUint32(nil, x.Status)
	}
	return "exit-signal", ssh.Marshal(struct {
		Name string
		Core bool
		Text string
		Lang string
	}{Name: x.Signal})
}

// oldSCP reports whether a command is the remote half of scp's old protocol.
func oldSCP(command string) bool {
	words := strings.Fields(command)
	if len(words) == 0 || path.Base(words[0]) != "scp" {
		return false
	}
	for _, w := range words[1:] {
		if !strings.HasPrefix(w, "-") || w == "--" {
			return false
		}
		if !strings.HasPrefix(w, "--") && strings.ContainsAny(w, "tf") {
			return true
		}
	}
	return false
}

// rsyncServer is the direction of an rsync whose remote half is this command, empty
// when it is something else. Who means to deceive can spell it otherwise: a command
// can carry files whatever the file policy says, and approvals say so.
func rsyncServer(command string) session.Channel {
	words := strings.Fields(command)
	if len(words) < 2 || path.Base(words[0]) != "rsync" || words[1] != "--server" {
		return ""
	}
	for _, w := range words[2:] {
		switch {
		case w == "--sender":
			return session.FilesOut
		case !strings.HasPrefix(w, "-"):
			return session.FilesIn
		}
	}
	return session.FilesIn
}

// printable reports whether s is ASCII without spaces and control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// noSCP refuses scp's old protocol, which would pass files that are neither hashed
// nor listed.
func noSCP(files bool) string {
	if files {
		return "This is scp's old protocol, whose files would not be listed. Use scp without -O, or sftp."
	}
	return "This is scp's old protocol. Request file transfer with --files in,out, then use scp without -O, or sftp."
}

// noRsync says what rsync lacks: it is a command that moves files.
func (r *Relay) noRsync(way session.Channel) string {
	if !r.cfg.May(session.Exec) {
		return "rsync runs a command on the device, and this grant does not include commands. " + r.instead("Request the exec channel for rsync.")
	}
	if way == session.FilesIn {
		return "rsync would copy files to the device, which this grant does not include. Request it with --files in."
	}
	return "rsync would copy files from the device, which this grant does not include. Request it with --files out."
}

// instead adds what the engineer can do with the channels there are.
func (r *Relay) instead(otherwise string) string {
	if r.cfg.May(session.FilesIn) || r.cfg.May(session.FilesOut) {
		return "It moves files: use scp or sftp. " + otherwise
	}
	return otherwise
}
