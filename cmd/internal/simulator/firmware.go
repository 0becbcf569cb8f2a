package simulator

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session/wording"
)

// slot holds one installed or staged package.
type slot struct {
	version  string // "" is empty
	file     string // absolute name of the package; "" for what was delivered
	sum      [sha256.Size]byte
	size     int64
	verified bool
}

// firmware is two slots, one active. A package is staged into the other, verified,
// and applied by making that one active; rollback swaps back.
type firmware struct {
	slots   [2]slot
	active  int
	applied bool // the other slot holds what ran before
}

// release is the delivered software, in the style of the trade.
func (s *Scanner) release() string {
	name := "VB20A"
	switch {
	case s.is("PT"):
		name = "VG60B"
	case s.is("MR"):
		name = "VE11C"
	}
	return fmt.Sprintf("%s SP%02d", name, 1+s.draw("sp")%8)
}

// other is the slot that is not active.
func (f *firmware) other() *slot { return &f.slots[1-f.active] }

func (s *Scanner) firmware() (f firmware) {
	s.change(func(st *state) { f = st.fw })
	return f
}

func (s *Scanner) version() string {
	f := s.firmware()
	return f.slots[f.active].version
}

func fw(ctx context.Context, c *call) int {
	verb, file := "status", ""
	for i, into := range []*string{&verb, &file}[:min(len(c.args), 2)] {
		*into = c.args[i]
	}
	switch {
	case len(c.args) > 2:
	case verb == "status" && file == "":
		return c.fwStatus()
	case verb == "stage" && file != "":
		return c.fwStage(ctx, file)
	case verb == "verify":
		return c.fwVerify(ctx, file)
	case verb == "apply":
		return c.fwApply(ctx, file)
	case verb == "rollback":
		return c.fwRollback(ctx)
	}
	return c.fail(statusUsage, "use fw [status], fw stage FILE, fw verify [FILE], fw apply [FILE] or fw rollback")
}

func (c *call) fwStatus() int {
	f := c.s.firmware()
	c.printf("%-5s %-8s %-24s %12s %s\n", "SLOT", "STATE", "VERSION", "BYTES", "SHA-256")
	for i, sl := range f.slots {
		state, sum := "empty", "-"
		switch {
		case i == f.active:
			state = "active"
		case sl.version != "" && f.applied:
			state = "previous"
		case sl.verified:
			state = "verified"
		case sl.version != "":
			state = "staged"
		}
		if sl.file != "" {
			sum = fmt.Sprintf("%x", sl.sum)
		}
		c.printf("%-5c %-8s %-24s %12d %s\n", 'A'+i, state, sl.version, sl.size, sum)
	}
	return 0
}

// hashFile reads a package of the home directory once.
func (s *Scanner) hashFile(ctx context.Context, abs string) (sum [sha256.Size]byte, size int64, err error) {
	f, err := s.home.open(abs)
	if err != nil {
		return sum, 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(stoppable(ctx, h), f)
	h.Sum(sum[:0])
	return sum, size, err
}

func (c *call) fwStage(ctx context.Context, file string) int {
	abs := c.s.home.resolve(c.sh.cwd, file)
	sum, size, err := c.s.hashFile(ctx, abs)
	if err != nil {
		return c.fail(1, "%s: %s", wording.Clean(file), reason(err))
	}
	if size == 0 {
		return c.fail(1, "%s: the package is empty", wording.Clean(file))
	}
	c.printf("Package   %s  %d bytes\nSHA-256   %x\n", wording.Clean(path.Base(abs)), size, sum)
	for _, percent := range []int{25, 50, 75, 100} {
		if !pause(ctx, c.s.cfg.Pace) {
			return statusInterrupted
		}
		c.printf("  writing [%-20s] %3d %%\n", strings.Repeat("#", percent/5), percent)
	}
	var name rune
	c.s.change(func(st *state) {
		*st.fw.other(), st.fw.applied = slot{version: packageVersion(abs), file: abs, sum: sum, size: size}, false
		name = 'A' + rune(1-st.fw.active)
	})
	c.s.record("I", "FW", "FW_010", "Package staged: "+path.Base(abs))
	c.printf("Staged in slot %c. Next: fw verify\n", name)
	return 0
}

// packageVersion is a package's name without its ending.
func packageVersion(abs string) string {
	name := path.Base(abs)
	for _, end := range []string{".gz", ".tar", ".pkg", ".bin", ".zip", ".fw"} {
		name = strings.TrimSuffix(name, end)
	}
	name = ascii(name)
	return name[:min(24, len(name))]
}

// staged is the slot that verify and apply are about; ok is false after an explanation.
func (c *call) staged(file string) (slot, bool) {
	f := c.s.firmware()
	sl := *f.other()
	if sl.version == "" || f.applied {
		c.fail(1, "nothing is staged; use fw stage FILE")
		return slot{}, false
	}
	if file != "" && c.s.home.resolve(c.sh.cwd, file) != sl.file {
		c.fail(1, "%s is not the staged package, %s is", wording.Clean(file), wording.Clean(path.Base(sl.file)))
		return slot{}, false
	}
	return sl, true
}

func (c *call) fwVerify(ctx context.Context, file string) int {
	sl, ok := c.staged(file)
	if !ok {
		return 1
	}
	sum, _, err := c.s.hashFile(ctx, sl.file)
	if err != nil {
		return c.fail(1, "%s: %s", wording.Clean(path.Base(sl.file)), reason(err))
	}
	if !c.steps(ctx, "read back slot", "compare SHA-256") {
		return statusInterrupted
	}
	if sum != sl.sum {
		c.printf("FAIL  the file is no longer what was staged\n  staged  %x\n  now     %x\n", sl.sum, sum)
		return 1
	}
	c.s.change(func(st *state) {
		if other := st.fw.other(); *other == sl {
			other.verified = true
		}
	})
	c.printf("OK    %s  %x\n", sl.version, sum)
	return 0
}

func (c *call) fwApply(ctx context.Context, file string) int {
	sl, ok := c.staged(file)
	if !ok {
		return 1
	}
	if !sl.verified {
		return c.fail(1, "the staged package is not verified; use fw verify")
	}
	if m := c.s.modality(c.s.cfg.Now()); m.name != "clinical_idle" {
		c.printf("Note: modality state is %s\n", m.name)
	}
	if !c.steps(ctx, "stop reconstruction", "flash", "read back", "switch active slot", "start reconstruction") {
		return statusInterrupted
	}
	changed := false
	c.s.change(func(st *state) {
		if changed = *st.fw.other() != sl; !changed {
			st.fw.active, st.fw.applied = 1-st.fw.active, true
		}
	})
	if changed {
		return c.fail(1, "somebody else staged another package meanwhile; nothing was applied")
	}
	c.s.record("W", "FW", "FW_020", "Firmware applied: "+sl.version)
	c.printf("Active version is %s. fw rollback goes back.\n", sl.version)
	return 0
}

func (c *call) fwRollback(ctx context.Context) int {
	if !c.s.firmware().applied {
		return c.fail(1, "no previous version is there to go back to")
	}
	if !c.steps(ctx, "stop reconstruction", "switch active slot", "start reconstruction") {
		return statusInterrupted
	}
	c.s.change(func(st *state) {
		if st.fw.applied {
			st.fw.active, st.fw.applied = 1-st.fw.active, false
		}
	})
	c.s.record("W", "FW", "FW_021", "Firmware rolled back to "+c.s.version())
	c.printf("Active version is %s\n", c.s.version())
	return 0
}

// savelog writes what the service commands say into a bundle in the home directory.
func savelog(ctx context.Context, c *call) int {
	now := c.s.cfg.Now().UTC()
	dir := "savelog_" + c.s.cfg.Asset.Name + "_" + now.Format("20060102-150405")
	if !c.steps(ctx, "collect event log", "collect measurements", "pack") {
		return statusInterrupted
	}
	bundle, err := c.s.bundle(ctx, dir, now)
	if err == nil {
		err = c.s.home.write(dir+".tar.gz", bundle)
	}
	if errors.Is(err, fs.ErrExist) {
		return c.fail(1, "%s.tar.gz exists already; wait a second", dir)
	}
	if err != nil {
		return c.fail(1, "the bundle could not be written: %s", reason(err))
	}
	c.s.record("I", "SRV", "SRV_050", "Log bundle written by "+c.s.cfg.User)
	c.printf("%s/%s.tar.gz  %d bytes\nThe bundle may name patients: the hospital decides about its release.\n", c.s.home.base, dir, len(bundle))
	return 0
}

func (s *Scanner) bundle(ctx context.Context, dir string, now time.Time) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	pack := tar.NewWriter(zip)
	for _, line := range []string{"swversion", "modstate", "evlog -n 2000 -since 7d", "tubestat", "dettemp -a", "coolstat", "dbstat", "pacsq", "qc last", "svc list", "fw status", "uptime"} {
		var text bytes.Buffer
		s.run(ctx, call{out: &text, err: &text, in: bytes.NewReader(nil), sh: &shellState{cwd: s.home.base}}, line)
		name, _, _ := strings.Cut(line, " ")
		h := &tar.Header{Name: dir + "/" + name + ".txt", Mode: 0o644, Size: int64(text.Len()), ModTime: now.Truncate(time.Second)}
		if err := pack.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := pack.Write(text.Bytes()); err != nil {
			return nil, err
		}
	}
	err := errors.Join(pack.Close(), zip.Close())
	return out.Bytes(), err
}

// write makes a new file; a half-written one does not stay.
func (h home) write(rel string, data []byte) error {
	f, err := h.root.OpenFile(rel, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, h.root.Remove(rel))
	}
	return nil
}
