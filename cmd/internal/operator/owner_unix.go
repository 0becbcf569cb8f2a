//go:build unix

package operator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/sallyport/sallyport/session"
)

// AsOwner makes the process that of the user to whom a state directory belongs, when root
// runs it: whatever it leaves there is that user's, and what it can read and reach is what
// the service can. For good; what only root can read is read before. service is the user
// of the unit, for whom a missing directory must be made.
func AsOwner(dir, service string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return missing(dir, service)
	}
	if err != nil {
		return fmt.Errorf("look at the state directory: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	if err := become(int(owner.Uid), int(owner.Gid)); err != nil {
		return &session.Error{Kind: session.Refused, Message: fmt.Sprintf("Root may not become %s, to whom %s belongs, so nothing was done", ownerName(owner.Uid), dir),
			Next: fmt.Sprintf("Run it as that user: runuser -u %s -- ...", ownerName(owner.Uid)), Err: err}
	}
	return nil
}

// missing refuses what would make a directory for root on a machine that has the unit's user.
func missing(dir, service string) error {
	if _, err := user.Lookup(service); err != nil {
		return nil // nobody else is to have it
	}
	return session.Errorf(session.Invalid, "The state directory %s does not exist yet, and root would make one that %s cannot read", dir, service).
		WithNext(fmt.Sprintf("Make it first: install -d -m 0700 -o %s -g %s %s", service, service, dir))
}

func become(uid, gid int) error {
	groups := []int{gid}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		ids, err := u.GroupIds()
		if err != nil {
			return err
		}
		for _, id := range ids {
			n, err := strconv.Atoi(id)
			if err != nil {
				return err
			}
			groups = append(groups, n)
		}
	}
	return errors.Join(syscall.Setgroups(groups), syscall.Setgid(gid), syscall.Setuid(uid))
}

// NotForAnother refuses to serve as root on a directory that is another user's: what root
// writes there the service could never read again.
func NotForAnother(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return nil // made, or complained of, by whoever opens it
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
		return session.Errorf(session.Refused, "Root does not serve on %s, which belongs to %s", dir, ownerName(owner.Uid)).
			WithNext(fmt.Sprintf("Start the unit with systemctl, or run it as that user: runuser -u %s -- ...", ownerName(owner.Uid)))
	}
	return nil
}

func ownerName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
