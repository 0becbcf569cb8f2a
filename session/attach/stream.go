package attach

import (
	"crypto"
	"encoding/json"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Stream is what of a console lies between the frames, for a Client whose proof holds. Read
// is of one goroutine.
type Stream struct {
	*Client
	// Told is called with every notice, by who reads.
	Told func(Notice)

	rest []byte
}

// Read returns RFB of the agent.
func (s *Stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		f, err := s.Client.Read()
		if err != nil {
			return 0, err
		}
		switch f.Type {
		case TypeOutput:
			s.rest = f.Payload // valid until the next frame is read
		case TypeNotice:
			n, err := ParseNotice(f.Payload)
			if err != nil {
				return 0, err
			}
			s.Told(n)
		case TypePing:
		default:
			return 0, ErrFrame
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Write sends RFB to the agent.
func (s *Stream) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, MaxPayload)
		if err := s.Send(TypeInput, p[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return len(p), nil
}

// Begin proves a key for a session and returns the agent's welcome. A refusal is a
// *session.Error in the agent's words.
func (c *Client) Begin(key crypto.Signer, p Proof) (Welcome, error) {
	if err := c.Prove(key, p); err != nil {
		return Welcome{}, err
	}
	f, err := c.Read()
	for err == nil && f.Type == TypeNotice { // what is waited for
		var n Notice
		if n, err = ParseNotice(f.Payload); err != nil {
			break
		}
		if c.Told != nil {
			c.Told(n)
		}
		f, err = c.Read()
	}
	switch {
	case err != nil:
		return Welcome{}, err
	case f.Type == TypeWelcome:
		var w Welcome
		if err := json.Unmarshal(f.Payload, &w); err != nil {
			return Welcome{}, ErrFrame
		}
		return w, nil
	}
	return Welcome{}, f.refusal()
}

// Ask proves a key for a question that is answered by one notice, and returns its words.
func (c *Client) Ask(key crypto.Signer, p Proof) (string, error) {
	if err := c.Prove(key, p); err != nil {
		return "", err
	}
	f, err := c.Read()
	if err != nil {
		return "", err
	}
	if f.Type != TypeNotice {
		return "", f.refusal()
	}
	n, err := ParseNotice(f.Payload)
	return n.Text, err
}

// refusal is a frame that says why not, as a *session.Error in the agent's words.
func (f Frame) refusal() error {
	var r Refused
	if f.Type != TypeRefused || json.Unmarshal(f.Payload, &r) != nil {
		return ErrFrame
	}
	return &session.Error{Kind: r.Kind, Message: wording.Line(r.Message, maxTold), Next: wording.Line(r.Next, maxTold)}
}

// ParseNotice reads the payload of an N. Its words are legible.
func ParseNotice(payload []byte) (Notice, error) {
	var n Notice
	if err := json.Unmarshal(payload, &n); err != nil {
		return Notice{}, ErrFrame
	}
	n.Text = wording.Line(n.Text, maxTold)
	for i, name := range n.People {
		n.People[i] = wording.Line(name, maxTold)
	}
	return n, nil
}
