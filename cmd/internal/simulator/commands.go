package simulator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session/wording"
)

// command is one word of the shell. Those with help stand in the service list.
type command struct {
	name string
	args string
	help string
	run  func(context.Context, *call) int
}

func commands() []command {
	return append(serviceCommands(), []command{
		{"cat", "", "", cat},
		{"cd", "", "", changeDir},
		{"clear", "", "", func(_ context.Context, c *call) int { c.printf("\x1b[H\x1b[2J"); return 0 }},
		{"date", "", "", says(func(c *call) string { return c.s.cfg.Now().UTC().Format("Mon Jan  2 15:04:05 UTC 2006") })},
		{"echo", "", "", says(func(c *call) string { return strings.Join(c.args, " ") })},
		{"exit", "", "", exit},
		{"logout", "", "", exit},
		{"false", "", "", func(context.Context, *call) int { return 1 }},
		{"flood", "", "", flood},
		{"hostname", "", "", says(func(c *call) string { return c.s.cfg.Asset.Name })},
		{"id", "", "", says(func(c *call) string {
			return "uid=1004(" + c.s.cfg.User + ") gid=1004(service) groups=1004(service),20(dialout)"
		})},
		{"ls", "", "", list},
		{"pwd", "", "", says(func(c *call) string { return c.sh.cwd })},
		{"sha256sum", "", "", checksum},
		{"sleep", "", "", sleep},
		{"stty", "", "", terminalSize},
		{"true", "", "", func(context.Context, *call) int { return 0 }},
		{"uname", "", "", says(func(c *call) string { return "Linux " + c.s.cfg.Asset.Name + " 4.4.180-recon #1 SMP x86_64" })},
		{"whoami", "", "", says(func(c *call) string { return c.s.cfg.User })},
	}...)
}

// says is a command that prints one line.
func says(line func(*call) string) func(context.Context, *call) int {
	return func(_ context.Context, c *call) int { c.printf("%s\n", line(c)); return 0 }
}

func help(_ context.Context, c *call) int {
	c.printf("Service commands on %s\n", c.s.cfg.Asset.Name)
	for _, cmd := range commands() {
		if cmd.help != "" {
			c.printf("  %-38s %s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.help)
		}
	}
	c.printf("Also: cat cd date echo exit hostname id ls pwd sha256sum sleep uname whoami\n")
	return 0
}

// pause waits, or reports that the command was interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func exit(_ context.Context, c *call) int {
	c.sh.quit = true
	if len(c.args) == 0 {
		return c.sh.status
	}
	n, err := strconv.Atoi(c.args[0])
	if err != nil {
		return c.fail(statusUsage, "%s is not a number", wording.Clean(c.args[0]))
	}
	return n & 0xff
}

func sleep(ctx context.Context, c *call) int {
	if len(c.args) != 1 {
		return c.fail(statusUsage, "say how many seconds")
	}
	d, err := time.ParseDuration(strings.TrimSuffix(c.args[0], "s") + "s")
	if err != nil || d < 0 {
		return c.fail(statusUsage, "%s is not a number of seconds", wording.Clean(c.args[0]))
	}
	if !pause(ctx, d) {
		return statusInterrupted
	}
	return 0
}

// stoppable ends a copy into w when the command is interrupted.
func stoppable(ctx context.Context, w io.Writer) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return w.Write(p)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// cat copies files, or what comes in, byte for byte.
func cat(ctx context.Context, c *call) int {
	return eachFile(c, func(_ string, r io.Reader) error {
		_, err := io.Copy(stoppable(ctx, c.out), r)
		return err
	})
}

func checksum(ctx context.Context, c *call) int {
	return eachFile(c, func(name string, r io.Reader) error {
		h := sha256.New()
		if _, err := io.Copy(stoppable(ctx, h), r); err != nil {
			return err
		}
		c.printf("%x  %s\n", h.Sum(nil), wording.Clean(name))
		return nil
	})
}

// eachFile gives the named files to use, or standard input where none is named or the
// name is "-".
func eachFile(c *call, use func(name string, r io.Reader) error) int {
	status := 0
	names := c.args
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		err := useFile(c, name, use)
		if errors.Is(err, errInterrupted) {
			return statusInterrupted
		}
		if err != nil {
			status = c.fail(1, "%s: %s", wording.Clean(name), reason(err))
		}
	}
	return status
}

func useFile(c *call, name string, use func(string, io.Reader) error) error {
	if name == "-" {
		return use(name, c.in)
	}
	abs := c.s.home.resolve(c.sh.cwd, name)
	info, err := c.s.home.stat(abs)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return errors.New("is a directory")
	}
	f, err := c.s.home.open(abs)
	if err != nil {
		return err
	}
	defer f.Close()
	return use(name, f)
}

// reason says an error as a shell would.
func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file or directory"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	}
	return plain(err).Error()
}

func changeDir(_ context.Context, c *call) int {
	to := "~"
	if len(c.args) > 0 {
		to = c.args[0]
	}
	abs := c.s.home.resolve(c.sh.cwd, to)
	info, err := c.s.home.stat(abs)
	switch {
	case err != nil:
		return c.fail(1, "%s: %s", wording.Clean(to), reason(err))
	case !info.IsDir():
		return c.fail(1, "%s: not a directory", wording.Clean(to))
	}
	c.sh.cwd = abs
	return 0
}

func list(_ context.Context, c *call) int {
	long, where := false, "."
	for _, a := range c.args {
		if strings.HasPrefix(a, "-") {
			long = long || strings.Contains(a, "l")
		} else {
			where = a
		}
	}
	abs := c.s.home.resolve(c.sh.cwd, where)
	info, err := c.s.home.stat(abs)
	if err != nil {
		return c.fail(1, "%s: %s", wording.Clean(where), reason(err))
	}
	infos := []fs.FileInfo{info}
	if info.IsDir() {
		if infos, err = c.s.home.names(abs); err != nil {
			return c.fail(1, "%s: %s", wording.Clean(where), reason(err))
		}
	}
	for _, i := range infos {
		if long {
			c.printf("%s %8s %12d %s ", i.Mode(), c.s.cfg.User, i.Size(), i.ModTime().UTC().Format("2006-01-02 15:04"))
		}
		c.printf("%s\n", wording.Clean(i.Name()))
	}
	return 0
}

func terminalSize(_ context.Context, c *call) int {
	if len(c.args) != 1 || c.args[0] != "size" {
		return c.fail(statusUsage, "only stty size is here")
	}
	if c.sh.size == nil {
		return c.fail(1, "not a terminal")
	}
	cols, rows := c.sh.size()
	c.printf("%d %d\n", rows, cols)
	return 0
}

const (
	floodRule = "..............................................." // 47: lines of 64 bytes
)

// flood writes exactly so many bytes, numbered lines of 64, to try bulk output.
func flood(ctx context.Context, c *call) int {
	if len(c.args) != 1 {
		return c.fail(statusUsage, "say how many bytes, such as 10M")
	}
	n, ok := parseBytes(c.args[0])
	if !ok {
		return c.fail(statusUsage, "%s is not a number of bytes", wording.Clean(c.args[0]))
	}
	w := stoppable(ctx, c.out)
	var block []byte
	for line := int64(0); n > 0; line += 512 {
		block = block[:0]
		for i := range int64(512) {
			block = fmt.Appendf(block, "%015d %s\n", line+i, floodRule)
		}
		part := block[:min(n, int64(len(block)))]
		if _, err := w.Write(part); err != nil {
			return 1
		}
		n -= int64(len(part))
	}
	return 0
}

// parseBytes reads 4096, 64K, 10M or 1G.
func parseBytes(s string) (int64, bool) {
	shift := 0
	if s != "" {
		if i := strings.IndexByte("KMG", s[len(s)-1]&^0x20); i >= 0 {
			shift, s = 10*(i+1), s[:len(s)-1]
		}
	}
	n, err := strconv.ParseInt(s, 10, 37)
	if err != nil || n < 0 || n > maxFlood>>shift {
		return 0, false
	}
	return n << shift, true
}
