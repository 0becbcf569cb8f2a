package rdp

import (
	"crypto/hmac"
	"crypto/md5"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/rdp/nla"
)

// Of Save Session Info (MS-RDPBCGR 2.2.10.1).
const (
	savedExtended = 3
	hasCookie     = 1
	hasErrors     = 2
	cookieSize    = 28
	justAWarning  = 3
)

// cookie is what a console gives to take its session up again (MS-RDPBCGR 2.2.4.2).
type cookie struct {
	session uint32
	random  [16]byte
}

// saved is what a console says of the sign-in: how to come back to it, and what is wrong
// with it. A console without network level authentication says that only here, beside the
// dialog that it shows.
func (c *Client) saved(f *fields) error {
	if f.u32() != savedExtended {
		return f.err()
	}
	f.take(2) // its length
	present := f.u32()
	field := func() fields { return fields{b: f.take(int(f.u32()))} }
	if present&hasCookie != 0 {
		in := field()
		size, version, id := in.u32(), in.u32(), in.u32()
		random := in.take(16)
		if in.bad || size != cookieSize || version != 1 {
			return ErrWire
		}
		c.cookie = &cookie{session: id, random: [16]byte(random)}
	}
	if present&hasErrors == 0 {
		return f.err()
	}
	in := field()
	kind, data := in.u32(), in.u32()
	if in.bad || f.bad {
		return ErrWire
	}
	return refusedLogon(kind, data)
}

// refusedLogon is why nobody gets in, or nil where the console goes on and shows what it
// asks (MS-RDPBCGR 2.2.10.1.1.4.1.1).
func refusedLogon(kind, data uint32) error {
	says := func(message, next string) error { return session.Errorf(session.Refused, "%s", message).WithNext(next) }
	switch kind {
	case 0xffffffff:
		return says("The console refused the login.", "Look at its log of sign-ins.")
	case 0xfffffffd:
		return says("The console ends the sign-in.", "Begin again.")
	case 0xfffffffa:
		return says("The user of the login may not take the console over.", "Put them into the console's group of remote desktop users, or ask who works there to sign out.")
	case 0xfffffff9:
		return says("Whoever works at the console did not let it be taken over.", "Ask them, and begin again.")
	}
	if kind>>30 == 3 && kind < 0xfffffff8 && data != justAWarning {
		return nla.Refusal(kind)
	}
	return nil
}

// proof is the cookie as the next connection shows it: inside TLS there is no random of this
// client's, and zeros stand for it (MS-RDPBCGR 5.5).
func (k *cookie) proof() []byte {
	mac := hmac.New(md5.New, k.random[:])
	mac.Write(make([]byte, 32))
	return mac.Sum(le32(nil, cookieSize, 1, k.session))
}
