package rdp

import "github.com/sallyport/sallyport/session"

// faultOf is why a console says that it ends (MS-RDPBCGR 2.2.5.1.1), in words; nil where it
// said nothing, or that all is well.
func faultOf(code uint32) error {
	says := func(kind session.Kind, message, next string) error {
		return session.Errorf(kind, "%s", message).WithNext(next)
	}
	switch code {
	case 0:
		return nil
	case 0x1, 0x2:
		return says(session.Refused, "The console's administrator ended the session.", "Ask who serves the console before you try again.")
	case 0x3:
		return says(session.Expired, "Nobody worked at the console for as long as it allows.", "Begin again.")
	case 0x4:
		return says(session.Expired, "The session was as long as the console allows.", "Begin again.")
	case 0x5:
		return says(session.Refused, "Somebody else connected to the console, and it has one session.", "Ask who works there before you take it back.")
	case 0x6:
		return says(session.Unreachable, "The console is out of memory.", "Try again later, or ask for it to be restarted.")
	case 0x7:
		return says(session.Refused, "The console refused the connection.", "Ask who serves it whether remote connections are on, and whether somebody works there.")
	case 0x9:
		return says(session.Refused, "The user of the login may not sign in remotely.", "Put them into the console's group of remote desktop users.")
	case 0xa:
		return says(session.Refused, "The console wants to see the password typed.", "Let it take passwords that are kept.")
	case 0xb, 0xc:
		return says(session.Refused, "The session at the console was signed out.", "Begin again.")
	case 0xf, 0x10:
		return says(session.Unreachable, "The console's display driver stopped, or did not start.", "Ask for the console to be restarted.")
	case 0x17, 0x18, 0x1a:
		return says(session.Unreachable, "The console is shutting down, or its session host is not ready.", "Try again in a few minutes.")
	}
	switch {
	case code >= 0x100 && code <= 0x10a:
		return says(session.Refused, "The console has trouble with remote desktop licences.", "Ask who serves it for its licences.")
	case code >= 0x400 && code <= 0x42f:
		return says(session.Unreachable, "The console's broker found no computer for the session.", "Name the computer itself in the agent's configuration.")
	}
	return session.Errorf(session.Unreachable, "The console ended the connection (error %#x).", code).WithNext("Begin again; if it stays so, tell who serves the console this number.")
}
