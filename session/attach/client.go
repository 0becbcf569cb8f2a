package attach

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"sync"

	"github.com/sallyport/sallyport/session"
)

// Client is the browser's side in Go, for programs that attach.
type Client struct {
	Challenge []byte // as it came
	// Told is told what Begin waits for, before it is welcomed; it may be nil.
	Told func(Notice)

	conn io.ReadWriter
	in   *Reader
	mu   sync.Mutex // of writing
}

// NewClient reads the challenge.
func NewClient(conn io.ReadWriter) (*Client, error) {
	c := &Client{conn: conn, in: NewReader(conn, Agent)}
	f, err := c.in.Read()
	if err != nil {
		return nil, err
	}
	if f.Type != TypeChallenge {
		return nil, fmt.Errorf("%w: %c instead of a challenge", ErrFrame, f.Type)
	}
	c.Challenge = append([]byte(nil), f.Payload...)
	return c, nil
}

// Prove signs for a session and sends the proof. Of p it fills in version, protocol,
// key and signature, and the role to operate where there is none.
func (c *Client) Prove(key crypto.Signer, p Proof) error {
	about, err := ParseChallenge(c.Challenge)
	if err != nil {
		return err
	}
	p.V, p.Protocol, p.Role = Version, about.Protocol, cmp.Or(p.Role, RoleOperate)
	if err := p.sign(key, c.Challenge, about); err != nil {
		return err
	}
	return c.SendJSON(TypeProof, p)
}

func (p *Proof) sign(key crypto.Signer, challenge []byte, about Challenge) (err error) {
	var raw []byte
	switch k := key.(type) {
	case ed25519.PrivateKey:
		p.Key = session.KeyLine(k.Public().(ed25519.PublicKey))
		raw = ed25519.Sign(k, p.SigningMessage(challenge, about.Of()))
	case *ecdsa.PrivateKey:
		if p.Key, err = session.KeyLineEC(&k.PublicKey); err != nil {
			return err
		}
		sum := sha256.Sum256(p.SigningMessage(challenge, about.Of()))
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			return err
		}
		raw = make([]byte, sigSize)
		r.FillBytes(raw[:ecdsaBits])
		s.FillBytes(raw[ecdsaBits:])
	default:
		return fmt.Errorf("a key of type %T cannot prove anything here", key)
	}
	p.Signature = base64.RawURLEncoding.EncodeToString(raw)
	return nil
}

// Read returns the agent's next frame; its payload is valid until the next call.
func (c *Client) Read() (Frame, error) { return c.in.Read() }

// Send sends one frame.
func (c *Client) Send(t Type, payload ...[]byte) error {
	b, err := Append(nil, Browser, t, payload...)
	if err != nil {
		return err
	}
	return c.write(b)
}

// SendJSON sends a frame with a document.
func (c *Client) SendJSON(t Type, document any) error {
	b, err := AppendJSON(nil, Browser, t, document)
	if err != nil {
		return err
	}
	return c.write(b)
}

func (c *Client) write(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write(b)
	return err
}
