package sshd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// What people read. OpenSSH prints banners as they are, and the reason of a
// refused channel in one line; both in plain ASCII.
const (
	wordsNoKey = "Sallyport: there is no key on this machine for this scanner, because nothing was requested from here.\r\n" +
		"Ask for access first:  sallyport request new SITE/ASSET/SERVICE --reason R --work-order W\r\n"
	wordsUnknownKey = "Sallyport: this key belongs to no live request; it was withdrawn, denied, used up, or its time is over.\r\n" +
		"Ask again:  sallyport request new SITE/ASSET/SERVICE --reason R --work-order W\r\n"
	wordsTooMany   = "Sallyport: you have too many connections open. Close some and try again.\r\n"
	wordsSession   = "this door has no shell: connect to a granted scanner through it, for example ssh -F $SALLYPORT_HOME/ssh_config recon-ssh.ngh-petct1.ngh"
	wordsOther     = "this door only leads to granted scanners, by direct-tcpip to a name such as recon-ssh.ngh-petct1.ngh port 22"
	wordsMalformed = "the name of a scanner's service is expected, such as recon-ssh.ngh-petct1.ngh, with port 22"
	wordsShortage  = "too many streams in one connection; open another connection"
	wordsOver      = "the connection is ending"
	wordsSlow      = "Sallyport did not get an answer in time; try again"
	wordsFault     = "Sallyport has a fault of its own; try again, and tell its operators the time if it stays"
)

func wordsWrongUser(user string) string {
	return fmt.Sprintf("Sallyport: the user name here is %s, not %s. Use the ssh_config that sallyport ssh-config writes.\r\n",
		User, wording.Line(user, 32))
}

// wordsFor is what to tell somebody about an error: its own plain sentence when
// it has one, and never its details.
func wordsFor(err error) string {
	var e *session.Error
	if !errors.As(err, &e) || e.Kind == session.Internal {
		if errors.Is(err, context.DeadlineExceeded) {
			return wordsSlow
		}
		return wordsFault
	}
	return wording.Line(strings.TrimSpace(e.Message+" "+e.Next), 600)
}

// wordsForKey is the banner for a key that was not let in.
func wordsForKey(err error) string {
	switch session.KindOf(err) {
	case session.Unreachable, session.Internal:
		return "Sallyport: " + wordsFor(err) + "\r\n"
	default:
		return wordsUnknownKey
	}
}
