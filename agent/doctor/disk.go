package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Floors of the free space on the disk that holds the spool.
const (
	tooLittle = 1 << 30 // bytes
	tooFew    = 2       // percent
	fewLeft   = 10      // percent; worth a warning
)

// stateDir checks who may read the agent's keys.
func (x *checkup) stateDir() {
	const name = "state directory"
	info, err := os.Stat(x.p.State)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.add(name, Fail, fmt.Sprintf("The state directory %s does not exist.", x.p.State), "Enrol the agent: sallyport-agent enrol.")
		return
	case err != nil:
		x.add(name, Fail, fmt.Sprintf("The state directory %s cannot be looked at.", x.p.State), "Run this as root or as the agent's user.")
		return
	case !info.IsDir():
		x.add(name, Fail, fmt.Sprintf("%s is no directory.", x.p.State), "Name a directory as state in the configuration.")
		return
	case info.Mode().Perm()&0o077 != 0:
		x.add(name, Fail, fmt.Sprintf("Others may look into %s (%04o).", x.p.State, info.Mode().Perm()), "chmod 0700 "+x.p.State)
		return
	}
	for _, file := range x.p.Private {
		path := filepath.Join(x.p.State, file)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // said elsewhere
		case err != nil:
			x.add(name, Fail, path+" cannot be looked at.", "Run this as root or as the agent's user.")
			return
		case info.Mode().Perm()&0o077 != 0:
			x.add(name, Fail, fmt.Sprintf("Others may read %s (%04o).", path, info.Mode().Perm()), "chmod 0600 "+path)
			return
		}
	}
	x.add(name, OK, "The state directory is private.", "")
}

// disk checks that recordings have room: without it no session opens.
func (x *checkup) disk() {
	const name = "disk"
	next := "Make room on the disk that holds " + x.p.State + ": a session whose recording cannot be written ends."
	free, total, err := x.o.Space(x.p.State)
	switch {
	case err != nil || total == 0:
		x.add(name, Warn, "The free space could not be measured.", next)
	case free < tooLittle || free*100 < total*tooFew:
		x.add(name, Fail, fmt.Sprintf("Only %s of %s are free.", size(free), size(total)), next)
	case free*100 < total*fewLeft:
		x.add(name, Warn, fmt.Sprintf("%s of %s are free, less than %d %%.", size(free), size(total), fewLeft), next)
	default:
		x.add(name, OK, fmt.Sprintf("%s of %s are free.", size(free), size(total)), "")
	}
}

func size(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
