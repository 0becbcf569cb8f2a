package nla

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"crypto/x509"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf16"

	//lint:ignore SA1019 NTLM knows no other
	"golang.org/x/crypto/md4"

	_ "crypto/sha512" // of certificates that are signed by it
)

// flags of NTLM (MS-NLMP 2.2.2.5): Unicode, a target, signing, sealing, NTLM, always sign,
// extended session security, target information, version, 128 bits, key exchange, 56 bits.
const (
	flags      = 0xe2088237 | targetInfo
	required   = 0x40000000 | 0x00080000 | 0x20 | 0x10 | 0x1
	targetInfo = 0x00800000
)

// Of what a console tells about itself (MS-NLMP 2.2.2.1).
const (
	pairEnd      = 0
	pairFlags    = 6
	pairTime     = 7
	pairTarget   = 9
	pairBindings = 10
)

// ntlm is one login.
type ntlm struct {
	login    Login
	cert     *x509.Certificate
	host     string
	hello    []byte
	to, from *sealer
	now      func() time.Time
	random   func(b []byte)
}

func newNTLM(l Login, host string, cert *x509.Certificate) *ntlm {
	return &ntlm{login: l, host: host, cert: cert, now: time.Now, random: func(b []byte) { _, _ = rand.Read(b) }}
}

// windows is the version that this client claims: 6.1, build 7601, revision 15.
func windows() []byte { return []byte{6, 1, 0xb1, 0x1d, 0, 0, 0, 15} }

// negotiate is the first message (MS-NLMP 2.2.1.1).
func (n *ntlm) negotiate() []byte {
	b := append([]byte("NTLMSSP\x00"), 1, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, flags)
	n.hello = append(append(b, make([]byte, 16)...), windows()...)
	return n.hello
}

// authenticate answers a challenge (MS-NLMP 2.2.1.2 and 2.2.1.3).
func (n *ntlm) authenticate(challenge []byte) ([]byte, error) {
	if len(challenge) < 48 || !bytes.HasPrefix(challenge, []byte("NTLMSSP\x00\x02\x00\x00\x00")) {
		return nil, ErrWire
	}
	theirs := binary.LittleEndian.Uint32(challenge[20:])
	info, ok := field(challenge, 40)
	if !ok || theirs&required != required {
		return nil, ErrWire
	}
	about, stamp, ok := n.about(info)
	if !ok {
		return nil, ErrWire
	}
	var random [8 + 16]byte
	n.random(random[:])
	mine, session := random[:8], random[8:]
	at := stamp
	if at == nil {
		at = binary.LittleEndian.AppendUint64(nil, uint64(n.now().UnixNano()/100+116444736000000000))
	}
	owf := n.owf()
	server := challenge[24:32]
	temp := bytes.Join([][]byte{{1, 1, 0, 0, 0, 0, 0, 0}, at, mine, {0, 0, 0, 0}, about, {0, 0, 0, 0}}, nil)
	proof := mac(owf, server, temp)
	lm := make([]byte, 24)
	if stamp == nil {
		lm = append(mac(owf, server, mine), mine...)
	}
	wrapped := make([]byte, 16)
	cipher, err := rc4.NewCipher(mac(owf, proof))
	if err != nil {
		return nil, err
	}
	cipher.XORKeyStream(wrapped, session)
	out := n.message(theirs&flags, lm, append(proof, temp...), wrapped)
	if stamp != nil {
		copy(out[72:], mac(session, n.hello, challenge, out))
	}
	n.to, n.from = newSealer(session, "client-to-server"), newSealer(session, "server-to-client")
	return out, nil
}

// message is Authenticate, its integrity code zero.
func (n *ntlm) message(flags uint32, parts ...[]byte) []byte {
	const head = 88
	b := append([]byte("NTLMSSP\x00"), 3, 0, 0, 0)
	var payload []byte
	all := [][]byte{parts[0], parts[1], wide(n.login.Domain), wide(n.login.User), nil, parts[2]}
	for _, p := range all {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p)))
		b = binary.LittleEndian.AppendUint32(b, uint32(head+len(payload)))
		payload = append(payload, p...)
	}
	b = append(binary.LittleEndian.AppendUint32(b, flags), windows()...)
	return append(append(b, make([]byte, 16)...), payload...)
}

// field is what a length and an offset in a message point to.
func field(b []byte, at int) ([]byte, bool) {
	n, from := uint64(binary.LittleEndian.Uint16(b[at:])), uint64(binary.LittleEndian.Uint32(b[at+4:]))
	if from+n > uint64(len(b)) {
		return nil, false
	}
	return b[from : from+n], true
}

// about is what the console told about itself, with what this side adds, and the console's
// time where it told it: then an integrity code follows.
func (n *ntlm) about(info []byte) (out, stamp []byte, ok bool) {
	for range maxPairs {
		if len(info) < 4 {
			return nil, nil, false
		}
		kind, size := binary.LittleEndian.Uint16(info), int(binary.LittleEndian.Uint16(info[2:]))
		if len(info) < 4+size {
			return nil, nil, false
		}
		value := info[4 : 4+size]
		switch kind {
		case pairEnd:
			if stamp != nil {
				out = pair(out, pairFlags, []byte{2, 0, 0, 0})
			}
			out = pair(pair(out, pairBindings, n.bindings()), pairTarget, wide("TERMSRV/"+n.host))
			return pair(out, pairEnd, nil), stamp, true
		case pairTime:
			if size != 8 {
				return nil, nil, false
			}
			stamp = value
		case pairFlags, pairBindings, pairTarget:
			info = info[4+size:]
			continue
		}
		out = append(out, info[:4+size]...)
		info = info[4+size:]
	}
	return nil, nil, false
}

func pair(b []byte, kind uint16, v []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, kind)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(v)))
	return append(b, v...)
}

// bindings tie the login to the certificate (RFC 5929 section 4, RFC 2744 section 3.11).
func (n *ntlm) bindings() []byte {
	hash := crypto.SHA256
	switch n.cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write(n.cert.Raw)
	data := h.Sum([]byte("tls-server-end-point:"))
	b := binary.LittleEndian.AppendUint32(make([]byte, 16), uint32(len(data)))
	sum := md5.Sum(append(b, data...))
	return sum[:]
}

// owf is NTOWFv2 (MS-NLMP 3.3.2).
func (n *ntlm) owf() []byte {
	h := md4.New()
	h.Write(wide(n.login.Password))
	return mac(h.Sum(nil), wide(strings.ToUpper(n.login.User)+n.login.Domain))
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func wide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

// sealer encrypts and signs in one direction (MS-NLMP 3.4).
type sealer struct {
	sign   []byte
	cipher *rc4.Cipher
	count  uint32
}

func newSealer(key []byte, way string) *sealer {
	of := func(what string) []byte {
		sum := md5.Sum(append(bytes.Clone(key), "session key to "+way+" "+what+" key magic constant\x00"...))
		return sum[:]
	}
	cipher, err := rc4.NewCipher(of("sealing"))
	if err != nil { // 16 bytes are a key
		panic(err)
	}
	return &sealer{sign: of("signing"), cipher: cipher}
}

// signature is that of a message, in its order.
func (s *sealer) signature(b []byte) []byte {
	count := binary.LittleEndian.AppendUint32(nil, s.count)
	s.count++
	sum := mac(s.sign, count, b)[:8]
	s.cipher.XORKeyStream(sum, sum)
	return append(append([]byte{1, 0, 0, 0}, sum...), count...)
}

func (s *sealer) seal(b []byte) []byte {
	out := make([]byte, len(b))
	s.cipher.XORKeyStream(out, b)
	return append(s.signature(b), out...)
}

func (s *sealer) open(b []byte) ([]byte, bool) {
	if len(b) < 16 {
		return nil, false
	}
	out := make([]byte, len(b)-16)
	s.cipher.XORKeyStream(out, b[16:])
	return out, hmac.Equal(s.signature(out), b[:16])
}
