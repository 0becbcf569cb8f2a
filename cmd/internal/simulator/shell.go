package simulator

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/sallyport/sallyport/session/wording"
)

var errInterrupted = errors.New("interrupted")

const (
	statusUsage       = 2
	statusNotFound    = 127
	statusInterrupted = 130
)

// call is one command being run.
type call struct {
	s    *Scanner
	name string
	args []string // without the name
	in   io.Reader
	out  io.Writer
	err  io.Writer
	ask  func(prompt string) (string, error) // one line from whoever is there
	sh   *shellState
}

// shellState lasts as long as a shell.
type shellState struct {
	cwd    string // absolute, as people see it
	status int
	quit   bool
	size   func() (cols, rows int) // nil without a terminal
}

func (c *call) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// fail says why not, on the error stream.
func (c *call) fail(status int, format string, args ...any) int {
	fmt.Fprintf(c.err, c.name+": "+format+"\n", args...)
	return status
}

// run executes a line: commands joined by ;, && and ||. The prototype carries streams
// and shell.
func (s *Scanner) run(ctx context.Context, proto call, line string) int {
	steps, err := split(line)
	if err != nil {
		fmt.Fprintf(proto.err, "%s: %v\n", s.cfg.Host, err)
		return statusUsage
	}
	status := proto.sh.status
	for _, step := range steps {
		if step.op == "&&" && status != 0 || step.op == "||" && status == 0 {
			continue
		}
		c := proto
		c.s, c.name, c.args = s, step.words[0], step.words[1:]
		for i, a := range c.args {
			if a == "$?" {
				c.args[i] = fmt.Sprint(status)
			}
		}
		status = s.runOne(ctx, &c)
		proto.sh.status = status
		if ctx.Err() != nil || proto.sh.quit {
			break
		}
	}
	return status
}

func (s *Scanner) runOne(ctx context.Context, c *call) int {
	for _, cmd := range commands() {
		if cmd.name == c.name {
			status := cmd.run(ctx, c)
			if ctx.Err() != nil {
				return statusInterrupted
			}
			return status
		}
	}
	fmt.Fprintf(c.err, "%s: command not found (help lists the service commands)\n", wording.Clean(c.name))
	return statusNotFound
}

// exec runs one command line.
func (c *sessionChannel) exec(ctx context.Context, line string) int {
	if len(line) > maxLine {
		fmt.Fprintln(c.ch.Stderr(), "command line too long")
		return statusUsage
	}
	sh := &shellState{cwd: c.s.home.base}
	if c.tty != nil {
		sh.size = c.tty.size
		out := crlf{c.ch}
		return c.s.run(ctx, call{in: &typed{k: c.tty}, out: out, err: out, ask: c.tty.readLine, sh: sh}, line)
	}
	in := bufio.NewReader(c.in)
	ask := func(prompt string) (string, error) { return askPlain(c.ch, in, prompt) }
	return c.s.run(ctx, call{in: in, out: c.ch, err: c.ch.Stderr(), ask: ask, sh: sh}, line)
}

func (c *sessionChannel) shell(ctx context.Context) int {
	if c.tty != nil {
		return c.tty.shell(ctx)
	}
	return c.script(ctx)
}

// script is a shell without a terminal: line by line, no prompt, no echo.
func (c *sessionChannel) script(ctx context.Context) int {
	in := bufio.NewReaderSize(c.in, maxLine)
	sh := &shellState{cwd: c.s.home.base}
	p := call{in: in, out: c.ch, err: c.ch.Stderr(), sh: sh}
	p.ask = func(prompt string) (string, error) { return askPlain(c.ch, in, prompt) }
	for ctx.Err() == nil && !sh.quit {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			fmt.Fprintln(c.ch.Stderr(), "command line too long")
			return statusUsage
		}
		if len(line) > 0 {
			c.foreground(ctx, p, string(bytes.TrimRight(line, "\r\n")))
		}
		if err != nil {
			break
		}
	}
	return sh.status
}

// foreground runs a line that an interrupt ends without ending the shell, and reports
// whether one did.
func (c *sessionChannel) foreground(ctx context.Context, p call, line string) (interrupted bool) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	c.in.foreground(cancel)
	p.sh.status = c.s.run(inner, p, line)
	c.in.foreground(nil)
	return inner.Err() != nil && ctx.Err() == nil
}

func askPlain(out io.Writer, in *bufio.Reader, prompt string) (string, error) {
	if _, err := io.WriteString(out, prompt); err != nil {
		return "", err
	}
	line, err := in.ReadString('\n')
	if err != nil && line == "" {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// ttyline is a shell's terminal: line editing, history, Ctrl-C and Ctrl-D.
type ttyline struct {
	c       *sessionChannel
	history *history
	aborted bool // the line being read was interrupted; owned by readLine

	mu         sync.Mutex
	term       *term.Terminal
	cols, rows int
}

func newTTYLine(c *sessionChannel, cols, rows int) *ttyline {
	k := &ttyline{c: c, history: &history{}, cols: cols, rows: rows}
	if k.cols == 0 || k.rows == 0 {
		k.cols, k.rows = 80, 24
	}
	k.renew()
	return k
}

// renew makes a fresh line editor: the old one remembers an end of file for ever.
func (k *ttyline) renew() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.term = term.NewTerminal(duplex{k.c.in, k.c.ch}, "")
	k.term.History = k.history
	k.term.AutoCompleteCallback = func(line string, _ int, key rune) (string, int, bool) {
		if key != abortKey {
			return "", 0, false
		}
		k.aborted = true
		return line + "^C", len(line) + 2, true
	}
	_ = k.term.SetSize(k.cols, k.rows) // writes nothing before a prompt
}

func (k *ttyline) resize(cols, rows int) {
	if cols == 0 || rows == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cols, k.rows = cols, rows
	_ = k.term.SetSize(cols, rows) // a failed repaint: the channel is closing
}

func (k *ttyline) size() (cols, rows int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cols, k.rows
}

// readLine edits one line. Errors: errInterrupted, or io.EOF at Ctrl-D.
func (k *ttyline) readLine(prompt string) (string, error) {
	k.mu.Lock()
	t := k.term
	k.mu.Unlock()
	k.aborted = false
	k.c.in.set(func() { k.c.in.reading = true })
	t.SetPrompt(prompt)
	line, err := t.ReadLine()
	k.c.in.set(func() { k.c.in.reading = false })
	if k.aborted {
		return "", errInterrupted
	}
	if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
		k.renew()
		return "", err
	}
	return line, nil
}

func (k *ttyline) shell(ctx context.Context) int {
	s := k.c.s
	out := crlf{k.c.ch}
	sh := &shellState{cwd: s.home.base, size: k.size}
	p := call{out: out, err: out, ask: k.readLine, sh: sh}
	fmt.Fprint(out, s.motd())
	for ctx.Err() == nil && !sh.quit {
		line, err := k.readLine(s.prompt(sh.cwd))
		if errors.Is(err, errInterrupted) {
			sh.status = statusInterrupted
			continue
		}
		if err != nil {
			fmt.Fprint(out, "logout\n")
			break
		}
		p.in = &typed{k: k}
		if k.c.foreground(ctx, p, line) {
			fmt.Fprint(out, "^C\n")
		}
	}
	return sh.status
}

// typed is a command's standard input at a terminal: edited lines until Ctrl-D.
type typed struct {
	k    *ttyline
	rest []byte
}

func (t *typed) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		line, err := t.k.readLine("")
		if err != nil {
			return 0, err
		}
		t.rest = []byte(line + "\n")
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// history keeps the last lines, without what was interrupted or empty.
type history struct{ lines []string }

func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || strings.HasSuffix(line, "^C") {
		return
	}
	h.lines = append(h.lines, line)
	h.lines = h.lines[max(0, len(h.lines)-100):]
}
func (h *history) Len() int        { return len(h.lines) }
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

// crlf ends lines as a terminal wants them.
type crlf struct{ w io.Writer }

func (c crlf) Write(p []byte) (int, error) {
	if _, err := c.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *Scanner) prompt(cwd string) string {
	return s.cfg.Host + "@" + s.cfg.Asset.Name + ":" + s.home.short(cwd) + "$ "
}

func (s *Scanner) motd() string {
	return fmt.Sprintf("\n%s  %s  %s  reconstruction host\nSoftware %s.  Service use only, sessions are recorded.\n"+
		"Modality state: %s.  Type help for the service commands.\n\n",
		s.cfg.Asset.Name, ascii(s.cfg.Asset.Label), ascii(s.cfg.Asset.Modality), s.version(), s.modality(s.cfg.Now()).name)
}
