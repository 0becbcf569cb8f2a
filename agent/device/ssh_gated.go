package device

import (
	"io"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// SSH is a device that is logged in to. The client stays in here: what carries anything
// to the device is sent on a channel, and that takes it only while whoever opened it
// holds a pass of their session's gate. The rest is the protocol's own: windows, keys,
// the word that a channel is closed, and no to whatever the device asks.
type SSH struct{ client *ssh.Client }

// NewSSH keeps a client, which nobody else uses any more.
func NewSSH(client *ssh.Client) *SSH { return &SSH{client} }

// Open opens a session channel, and what the device asks on it. held reports whether the
// pass is held now.
func (s *SSH) Open(held func() bool) (ssh.Channel, <-chan *ssh.Request, error) {
	if !held() {
		return nil, nil, errOutside
	}
	channel, requests, err := s.client.OpenChannel("session", nil)
	if err != nil {
		return nil, nil, err
	}
	return gated{channel, held}, requests, nil
}

// Wait waits until the device has hung up.
func (s *SSH) Wait() { _ = s.client.Wait() }

// Close cuts the device off.
func (s *SSH) Close() error { return s.client.Close() }

// gated is a channel to a device behind a gate. It embeds nothing: a new way to send
// something would have to be written here.
type gated struct {
	channel ssh.Channel
	held    func() bool
}

// errOutside is a mistake of ours that reached nobody.
var errOutside = session.Errorf(session.Internal, "The agent tried to send something past this session's gate, and did not.").
	WithNext("Tell whoever runs this Sallyport.")

func (g gated) Read(p []byte) (int, error) { return g.channel.Read(p) }

func (g gated) Write(p []byte) (int, error) {
	if !g.held() {
		return 0, errOutside
	}
	return g.channel.Write(p)
}

func (g gated) CloseWrite() error {
	if !g.held() {
		return errOutside
	}
	return g.channel.CloseWrite()
}

func (g gated) SendRequest(name string, wantReply bool, payload []byte) (bool, error) {
	if !g.held() {
		return false, errOutside
	}
	return g.channel.SendRequest(name, wantReply, payload)
}

// Close only ends, and waits for no gate.
func (g gated) Close() error { return g.channel.Close() }

// Stderr is the device's to write.
func (g gated) Stderr() io.ReadWriter { return heard{g.channel.Stderr()} }

type heard struct{ io.Reader }

func (heard) Write([]byte) (int, error) { return 0, errOutside }
