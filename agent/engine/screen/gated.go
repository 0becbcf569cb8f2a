package screen

import (
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// gated is a device's console behind its session's gate: what is done by hand is done
// while something passes there, whoever forgets to. The rest is the protocol's own:
// asking for what changes, and answers to the device.
type gated struct {
	Client
	passing func() bool
}

var _ rfb.Hands = gated{}

// errOutside is a mistake of ours that reached nobody.
var errOutside = session.Errorf(session.Internal, "The agent tried to do something at the console past this session's gate, and did not.").
	WithNext("Tell whoever runs this Sallyport.")

func (g gated) Press(k screen.Key) error {
	if !g.passing() {
		return errOutside
	}
	return g.Client.Press(k)
}

func (g gated) Point(p screen.Pointer) error {
	if !g.passing() {
		return errOutside
	}
	return g.Client.Point(p)
}

func (g gated) Paste(text string) error {
	if !g.passing() {
		return errOutside
	}
	return g.Client.Paste(text)
}
