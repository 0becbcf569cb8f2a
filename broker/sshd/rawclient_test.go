package sshd

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// raw is an SSH client that keeps no manners: it offers, signs, changes its user
// and opens channels in whatever order a test wants. curve25519 and AES-GCM only.
type raw struct {
	nc      net.Conn
	r       *bufio.Reader
	session []byte
	out, in *sealed
	banners []string
}

type sealed struct {
	aead  cipher.AEAD
	nonce []byte
}

func (s *sealed) next() []byte {
	n := bytes.Clone(s.nonce)
	binary.BigEndian.PutUint64(s.nonce[4:], binary.BigEndian.Uint64(s.nonce[4:])+1)
	return n
}

// Messages of RFC 4250 that the tests look at.
const (
	msgDisconnect  = 1
	msgFailure     = 51
	msgSuccess     = 52
	msgBanner      = 53
	msgPKOK        = 60
	msgReqFailure  = 82
	msgOpenConfirm = 91
	msgOpenFailure = 92
)

func str(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }

func mpint(b []byte) []byte {
	n := new(big.Int).SetBytes(b).Bytes()
	if len(n) > 0 && n[0]&0x80 != 0 {
		n = append([]byte{0}, n...)
	}
	return str(n)
}

func (c *raw) write(payload []byte) error {
	block, head := 8, 5
	if c.out != nil {
		block, head = 16, 1
	}
	pad := block - (len(payload)+head)%block
	if pad < 4 {
		pad += block
	}
	body := append([]byte{byte(pad)}, payload...)
	body = append(body, make([]byte, pad)...)
	packet := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	if c.out == nil {
		packet = append(packet, body...)
	} else {
		packet = c.out.aead.Seal(packet, c.out.next(), body, packet[:4])
	}
	_, err := c.nc.Write(packet)
	return err
}

func (c *raw) read() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.r, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if c.in != nil {
		n += 16
	}
	if n > 1<<20 {
		return nil, fmt.Errorf("packet of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return nil, err
	}
	if c.in != nil {
		var err error
		if body, err = c.in.aead.Open(nil, c.in.next(), body, size[:]); err != nil {
			return nil, err
		}
	}
	return body[1 : len(body)-int(body[0])], nil
}

// dialRaw connects, exchanges keys and asks for user authentication.
func dialRaw(t *testing.T, addr string) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := &raw{nc: nc, r: bufio.NewReader(nc)}
	if err := c.handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *raw) handshake() error {
	const mine = "SSH-2.0-raw"
	if _, err := io.WriteString(c.nc, mine+"\r\n"); err != nil {
		return err
	}
	theirs, err := c.r.ReadString('\n')
	if err != nil {
		return err
	}
	theirs = strings.TrimRight(theirs, "\r\n")
	myInit := append([]byte{20}, make([]byte, 16)...)
	for _, names := range []string{
		"curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com",
		"hmac-sha2-256-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "none", "none", "", "",
	} {
		myInit = append(myInit, str([]byte(names))...)
	}
	myInit = append(myInit, 0, 0, 0, 0, 0)
	if err := c.write(myInit); err != nil {
		return err
	}
	theirInit, err := c.read()
	if err != nil {
		return err
	}
	return c.exchange(mine, theirs, myInit, theirInit)
}

func (c *raw) exchange(mine, theirs string, myInit, theirInit []byte) error {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if err := c.write(append([]byte{30}, str(key.PublicKey().Bytes())...)); err != nil {
		return err
	}
	answer, err := c.read()
	if err != nil {
		return err
	}
	var reply struct {
		HostKey, Point, Sig []byte `sshtype:"31"`
	}
	if err := gossh.Unmarshal(answer, &reply); err != nil {
		return err
	}
	point, err := ecdh.X25519().NewPublicKey(reply.Point)
	if err != nil {
		return err
	}
	secret, err := key.ECDH(point)
	if err != nil {
		return err
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(mine), []byte(theirs), myInit, theirInit, reply.HostKey, key.PublicKey().Bytes(), reply.Point} {
		h.Write(str(part))
	}
	h.Write(mpint(secret))
	c.session = h.Sum(nil)
	if err := c.write([]byte{21}); err != nil {
		return err
	}
	if _, err := c.read(); err != nil { // their NEWKEYS
		return err
	}
	derive := func(letter byte) []byte {
		h := sha256.New()
		h.Write(mpint(secret))
		h.Write(c.session)
		h.Write([]byte{letter})
		h.Write(c.session)
		return h.Sum(nil)
	}
	if c.out, err = gcm(derive('C'), derive('A')); err != nil {
		return err
	}
	if c.in, err = gcm(derive('D'), derive('B')); err != nil {
		return err
	}
	if err := c.write(append([]byte{5}, str([]byte("ssh-userauth"))...)); err != nil {
		return err
	}
	_, err = c.read()
	return err
}

func gcm(key, iv []byte) (*sealed, error) {
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealed{aead: aead, nonce: iv[:12]}, err
}

// answer reads the next message that is not a banner; 0 when the server hung up.
func (c *raw) answer() byte {
	for {
		p, err := c.read()
		switch {
		case err != nil || len(p) == 0:
			return 0
		case p[0] == msgBanner:
			var b struct {
				Message, Language string `sshtype:"53"`
			}
			if gossh.Unmarshal(p, &b) == nil {
				c.banners = append(c.banners, b.Message)
			}
		default:
			return p[0]
		}
	}
}

func auth(user, method string, rest ...[]byte) []byte {
	p := append([]byte{50}, str([]byte(user))...)
	p = append(p, str([]byte("ssh-connection"))...)
	p = append(p, str([]byte(method))...)
	return append(p, bytes.Join(rest, nil)...)
}

func (c *raw) try(p []byte) byte {
	if c.write(p) != nil {
		return 0
	}
	return c.answer()
}

func (c *raw) none(user string) byte { return c.try(auth(user, "none")) }

func (c *raw) password(user, word string) byte {
	return c.try(auth(user, "password", []byte{0}, str([]byte(word))))
}

func (c *raw) interactive(user string) byte {
	return c.try(auth(user, "keyboard-interactive", str(nil), str(nil)))
}

// query offers a key without a signature.
func (c *raw) query(user string, key gossh.PublicKey) byte {
	return c.try(auth(user, "publickey", []byte{0}, str([]byte(key.Type())), str(key.Marshal())))
}

// sign proves a key.
func (c *raw) sign(t *testing.T, user string, key gossh.Signer) byte {
	t.Helper()
	p := auth(user, "publickey", []byte{1}, str([]byte(key.PublicKey().Type())), str(key.PublicKey().Marshal()))
	sig, err := key.Sign(rand.Reader, append(str(c.session), p...))
	if err != nil {
		t.Fatal(err)
	}
	return c.try(append(p, str(gossh.Marshal(sig))...))
}

// direct opens a direct-tcpip channel; it returns the answer and its text.
func (c *raw) direct(host string, port uint32) (byte, string) {
	p := append([]byte{90}, str([]byte("direct-tcpip"))...)
	p = binary.BigEndian.AppendUint32(p, 0)
	p = binary.BigEndian.AppendUint32(p, 1<<20)
	p = binary.BigEndian.AppendUint32(p, 32<<10)
	p = append(p, gossh.Marshal(directTCPIP{Host: host, Port: port, OriginHost: "127.0.0.1"})...)
	if c.write(p) != nil {
		return 0, ""
	}
	for {
		p, err := c.read()
		if err != nil {
			return 0, ""
		}
		switch p[0] {
		case msgOpenConfirm:
			return p[0], ""
		case msgOpenFailure:
			var f struct {
				Peer, Reason  uint32 `sshtype:"92"`
				Message, Lang string
			}
			if gossh.Unmarshal(p, &f) != nil {
				return 0, ""
			}
			return p[0], f.Message
		case msgDisconnect:
			return p[0], ""
		}
	}
}
