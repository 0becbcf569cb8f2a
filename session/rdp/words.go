package rdp

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/session"
)

func because(kind session.Kind, message, next string) error {
	return session.Errorf(kind, "%s", message).WithNext(next)
}

// faultOf is why a console says that it ends (MS-RDPBCGR 2.2.5.1.1), in words; nil where it
// said nothing, or that all is well.
func faultOf(code uint32) error {
	if code == 0 {
		return nil
	}
	if err := endedByPeople(code); err != nil {
		return err
	}
	if err := endedByItself(code); err != nil {
		return err
	}
	switch {
	case code >= 0x100 && code <= 0x10a:
		return because(session.Refused, "The console has trouble with remote desktop licences.", "Ask who serves it for its licences.")
	case code >= 0x400 && code <= 0x43f:
		return because(session.Unreachable, "The console's broker found no computer for the session.", "Name the computer itself in the agent's configuration.")
	case code >= 0x10c9 && code <= 0x1195:
		return because(session.Unreachable, fmt.Sprintf("The console took something that it was sent for a mistake of the protocol (error %#x).", code),
			"Begin again; if it stays so, tell who serves the console this number.")
	}
	return because(session.Unreachable, fmt.Sprintf("The console ended the connection (error %#x).", code),
		"Begin again; if it stays so, tell who serves the console this number.")
}

// endedByPeople is what somebody did, or what is set there.
func endedByPeople(code uint32) error {
	switch code {
	case 0x1:
		return because(session.Refused, "The console's administrator ended the session.", "Ask who serves the console before you try again.")
	case 0x2:
		return because(session.Refused, "The console's administrator signed the session out, and its programs were closed.", "Ask who serves the console before you try again.")
	case 0x3:
		return because(session.Expired, "Nobody worked at the console for as long as it allows.", "Begin again.")
	case 0x4:
		return because(session.Expired, "The session was as long as the console allows.", "Begin again.")
	case 0x5:
		return because(session.Refused, "Somebody else connected to the console, and it has one session.", "Ask who works there before you take it back.")
	case 0x7:
		return because(session.Refused, "The console refused the connection.", "Ask who serves it whether remote connections are on, and whether somebody works there.")
	case 0x9:
		return because(session.Refused, "The user of the login may not sign in remotely.", "Put them into the console's group of remote desktop users.")
	case 0xa:
		return because(session.Refused, "The console wants to see the password typed.", "Let it take passwords that are kept.")
	case 0xb:
		return because(session.Refused, "Somebody at the console disconnected the session; its programs go on there.", "Ask who works there before you begin again.")
	case 0xc:
		return because(session.Refused, "Somebody at the console signed out, and its programs were closed.", "Ask who works there before you begin again.")
	}
	return nil
}

// endedByItself is what failed at the console.
func endedByItself(code uint32) error {
	switch code {
	case 0x6:
		return because(session.Unreachable, "The console is out of memory.", "Try again later, or ask for it to be restarted.")
	case 0xf, 0x11, 0x12:
		return because(session.Unreachable, "The console's display driver stopped, or did not start.", "Ask for the console to be restarted.")
	case 0x10:
		return because(session.Unreachable, "What draws the console's windows stopped.", "Begin again; if it stays so, ask for the console to be restarted.")
	case 0x17, 0x18:
		return because(session.Unreachable, "A part of Windows that every session needs stopped at the console.", "Ask for the console to be restarted.")
	case 0x19:
		return because(session.Unreachable, "The console is shutting down.", "Ask whether somebody switched it off, and try again when it is up.")
	case 0x1a:
		return because(session.Unreachable, "The console is restarting.", "Try again in a few minutes.")
	}
	return nil
}

// asked is the reason of MCS for an end that somebody asked for (T.125 Reason, rn-user-requested).
const asked = 3

// over is a console that says that it ends, and for what reason of MCS.
type over struct{ reason int }

func (over) Error() string { return "the console ended the connection" }

// words are for a console that was shown, and ends without an error of its own.
func (o over) words() error {
	if o.reason == asked {
		return because(session.Refused, "The session was ended at the console: somebody signed out there, took it over, or closed it.", "Ask who works there before you begin again.")
	}
	return because(session.Unreachable, "The console ended the session, and does not say why.", "Begin again; if it stays so, ask who serves the console.")
}

// parted says why a console that was shown is gone.
func (c *Client) parted(err error) error {
	err = c.ended(err)
	if o := (over{}); errors.As(err, &o) {
		return errors.Join(o.words(), err)
	}
	return err
}
