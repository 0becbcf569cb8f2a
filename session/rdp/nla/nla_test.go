package nla

import (
	"bytes"
	"crypto/rc4"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The values of MS-NLMP 4.2.4: user User, domain Domain, password Password.
func TestNTLMv2AsItIsWritten(t *testing.T) {
	n := newNTLM(Login{User: "User", Domain: "Domain", Password: "Password"}, "h", &x509.Certificate{})
	owf := n.owf()
	if got := hex.EncodeToString(owf); got != "0c868a403bfd7a93a3001ef22ef02e3f" {
		t.Errorf("NTOWFv2 is %s", got)
	}
	server, mine := unhex(t, "0123456789abcdef"), unhex(t, "aaaaaaaaaaaaaaaa")
	about := unhex(t, "02000c0044006f006d00610069006e0001000c005300650072007600650072000000 0000")
	temp := bytes.Join([][]byte{{1, 1, 0, 0, 0, 0, 0, 0}, make([]byte, 8), mine, {0, 0, 0, 0}, about, {0, 0, 0, 0}}, nil)
	proof := mac(owf, server, temp)
	if got := hex.EncodeToString(proof); got != "68cd0ab851e51c96aabc927bebef6a1c" {
		t.Errorf("NTProofStr is %s", got)
	}
	base := mac(owf, proof)
	if got := hex.EncodeToString(base); got != "8de40ccadbc14a82f15cb0ad0de95ca3" {
		t.Errorf("the session's base key is %s", got)
	}
	if got := hex.EncodeToString(mac(owf, server, mine)); got != "86c35097ac9cec102554764a57cccc19" {
		t.Errorf("LMv2 is %s", got)
	}
	wrapped := make([]byte, 16)
	c, err := rc4.NewCipher(base)
	if err != nil {
		t.Fatal(err)
	}
	c.XORKeyStream(wrapped, bytes.Repeat([]byte{0x55}, 16))
	if got := hex.EncodeToString(wrapped); got != "c5dad2544fc9799094ce1ce90bc9d03e" {
		t.Errorf("the wrapped key is %s", got)
	}
	s := newSealer(bytes.Repeat([]byte{0x55}, 16), "client-to-server")
	if got := hex.EncodeToString(s.seal(wide("Plaintext"))); got != "010000007fb38ec5c55d497600000000"+"54e50165bf1936dc996020c1811b0f06fb5f" {
		t.Errorf("sealed is %s", got)
	}
}

// pipe is a console that says what it was given, and keeps what it hears.
type pipe struct {
	io.Reader
	heard bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) { return p.heard.Write(b) }

func message(t testing.TB, r request) []byte {
	t.Helper()
	b, err := r.bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func challenge(pairs ...byte) []byte {
	b := append([]byte("NTLMSSP\x00\x02\x00\x00\x00"), make([]byte, 8)...)
	b = append(b, 0x37, 0x82, 0x88, 0xe2)
	b = append(b, 1, 2, 3, 4, 5, 6, 7, 8)
	b = append(b, make([]byte, 8)...)
	b = append(b, byte(len(pairs)), 0, byte(len(pairs)), 0, 56, 0, 0, 0)
	return append(append(b, windows()...), pairs...)
}

// console answers as a console with this password does.
func console(t *testing.T, password string, agreed int, stamped, honest bool) error {
	t.Helper()
	key := []byte{0x30, 0xff, 3, 4}
	cert := &x509.Certificate{Raw: []byte("a certificate"), RawSubjectPublicKeyInfo: append([]byte{0x30, 0x0d, 0x30, 0x04, 0x06, 0x02, 0x2a, 0x03, 0x03, 0x05, 0}, key...)}
	r, w := io.Pipe()
	back, answer := io.Pipe()
	got := make(chan error, 1)
	go func() {
		err := Prove(struct {
			io.Reader
			io.Writer
		}{back, w}, "console", cert, Login{User: "doctor", Password: "s3cret!"})
		w.CloseWithError(io.EOF)
		got <- err
	}()
	defer back.Close()
	defer r.Close()
	pairs := []byte{0, 0, 0, 0}
	if stamped {
		pairs = append([]byte{7, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8}, pairs...)
	}
	err := func() error {
		hello, err := receive(r)
		if err != nil {
			return err
		}
		asked := challenge(pairs...)
		if _, err := answer.Write(message(t, request{version: agreed, token: asked})); err != nil {
			return err
		}
		m, err := receive(r)
		if err != nil {
			return err
		}
		return judge(t, m, hello.token, asked, password, agreed, stamped, honest, key, answer, r)
	}()
	if err != nil {
		t.Logf("the console: %v", err)
	}
	answer.Close()
	select {
	case err := <-got:
		return err
	case <-time.After(time.Minute):
		t.Fatal("it never ends")
		return nil
	}
}

// judge is the console's side of MS-NLMP 3.2.5 and MS-CSSP 3.1.5.
func judge(t *testing.T, m request, hello, asked []byte, password string, agreed int, stamped, honest bool, key []byte, w io.Writer, r io.Reader) error {
	response, _ := field(m.token, 20)
	wrapped, _ := field(m.token, 52)
	n := newNTLM(Login{User: "doctor", Password: password}, "console", nil)
	proof := mac(n.owf(), asked[24:32], response[16:])
	if !bytes.Equal(proof, response[:16]) {
		_, err := w.Write([]byte{0x30, 0x0d, 0xa0, 3, 2, 1, 6, 0xa4, 6, 2, 4, 0xc0, 0, 0, 0x6d})
		return err
	}
	session := make([]byte, 16)
	c, err := rc4.NewCipher(mac(n.owf(), proof))
	if err != nil {
		return err
	}
	c.XORKeyStream(session, wrapped)
	zero := bytes.Clone(m.token)
	copy(zero[72:], make([]byte, 16))
	if want := mac(session, hello, asked, zero); stamped && !bytes.Equal(m.token[72:88], want) {
		t.Error("the integrity code is wrong")
	}
	from, to := newSealer(session, "client-to-server"), newSealer(session, "server-to-client")
	said, ok := from.open(m.key)
	if !ok || !bytes.Equal(said, binding(agreed, key, m.nonce, toServer)) || agreed >= bound != (len(m.nonce) == 32) {
		t.Error("the binding is wrong")
	}
	back := binding(agreed, key, m.nonce, toClient)
	if !honest {
		back = binding(agreed, []byte("another key"), m.nonce, toClient)
	}
	if _, err := w.Write(message(t, request{version: agreed, key: to.seal(back)})); err != nil {
		return err
	}
	last, err := receive(r)
	if err != nil {
		return err
	}
	handed, ok := from.open(last.auth)
	if !honest || !ok || !bytes.Contains(handed, wide("s3cret!")) {
		t.Error("the login is not handed over as it should be")
	}
	return nil
}

func TestEveryVersion(t *testing.T) {
	for _, agreed := range []int{2, 3, 4, 5, 6, 7} {
		for _, stamped := range []bool{true, false} {
			if err := console(t, "s3cret!", agreed, stamped, true); err != nil {
				t.Errorf("version %d, time told %v: %v", agreed, stamped, err)
			}
			if err := console(t, "another", agreed, stamped, true); session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "wrong") {
				t.Errorf("version %d, a wrong password: %v", agreed, err)
			}
			if err := console(t, "s3cret!", agreed, stamped, false); session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "does not prove") {
				t.Errorf("version %d, somebody between: %v", agreed, err)
			}
		}
	}
}

func hostile(t testing.TB) map[string][]byte {
	token := func(b []byte) []byte { return message(t, request{version: 6, token: b}) }
	good := challenge(0, 0, 0, 0)
	with := func(at int, v ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], v)
		return token(b)
	}
	return map[string][]byte{
		"nothing":              {},
		"another tag":          {0x31, 0},
		"no length":            {0x30},
		"a length of nothing":  {0x30, 0x80},
		"a length of 4 GB":     {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
		"a length of 16 MB":    {0x30, 0x83, 0xff, 0xff, 0xff},
		"a length padded":      append([]byte{0x30, 0x82, 0, byte(len(message(t, request{version: 6})) - 2)}, message(t, request{version: 6})[2:]...),
		"no version":           {0x30, 0},
		"version 1":            message(t, request{version: 1, token: good}),
		"a negative version":   message(t, request{version: -1, token: good}),
		"no challenge":         message(t, request{version: 6}),
		"fields out of order":  {0x30, 0x0e, 0xa3, 3, 4, 1, 1, 0xa0, 3, 2, 1, 6, 0, 0, 0, 0},
		"something behind":     {0x30, 0x08, 0xa0, 3, 2, 1, 6, 4, 1, 1},
		"an empty challenge":   token([]byte{}),
		"not NTLM":             with(0, 'K'),
		"message 3":            with(8, 3),
		"no key exchange":      with(20, 0x37, 0x82, 0x88, 0xa2),
		"no session security":  with(20, 0x37, 0x82, 0x80, 0xe2),
		"no sealing":           with(20, 0x17, 0x82, 0x88, 0xe2),
		"pairs beyond the end": with(44, 0xff, 0xff, 0xff, 0xff),
		"pairs too long":       with(40, 0xff, 0xff),
		"no pairs":             with(40, 0, 0, 0, 0),
		"a pair beyond":        token(challenge(1, 0, 9, 0)),
		"pairs without end":    token(challenge(1, 0, 0, 0)),
		"a time of 4 bytes":    token(challenge(7, 0, 4, 0, 1, 2, 3, 4, 0, 0, 0, 0)),
		"33 pairs":             token(challenge(append(bytes.Repeat([]byte{1, 0, 0, 0}, 33), 0, 0, 0, 0)...)),
		"a status":             {0x30, 0x0d, 0xa0, 3, 2, 1, 6, 0xa4, 6, 2, 4, 0xc0, 0, 0, 0x71},
		"a short proof":        append(token(good), message(t, request{version: 6, key: []byte{1, 2, 3}})...),
		"no proof":             append(token(good), message(t, request{version: 6})...),
		"a false proof":        append(token(good), message(t, request{version: 6, key: make([]byte, 48)})...),
	}
}

func lie(b []byte) (heard []byte, err error) {
	key := []byte{0x30, 0x0d, 0x30, 0x04, 0x06, 0x02, 0x2a, 0x03, 0x03, 0x05, 0, 1, 2, 3, 4}
	p := &pipe{Reader: bytes.NewReader(b)}
	err = Prove(p, "console", &x509.Certificate{RawSubjectPublicKeyInfo: key}, Login{User: "doctor", Password: "s3cret!"})
	return p.heard.Bytes(), err
}

// A console that lies learns nothing that it could log in with, and is left.
func TestHostileConsolesAreLeft(t *testing.T) {
	for name, b := range hostile(t) {
		heard, err := lie(b)
		if err == nil || session.KindOf(err) != session.Refused && !errors.Is(err, ErrWire) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
		if bytes.Contains(heard, wide("s3cret!")) || bytes.Contains(heard, []byte("s3cret!")) {
			t.Errorf("%s: hears the password", name)
		}
	}
}

// windowsChallenge has the shape of a Windows Server's: a name of its own, and who it is by all
// the names that it has, with the time.
func windowsChallenge() []byte {
	var pairs []byte
	add := func(kind int, b []byte) {
		pairs = append(append(pairs, byte(kind), 0, byte(len(b)), 0), b...)
	}
	for kind, name := range map[int]string{1: "CONSOLE-PC", 2: "CONSOLE", 3: "CONSOLE-PC.ad.hospital.example", 4: "ad.hospital.example", 5: "ad.hospital.example"} {
		add(kind, wide(name))
	}
	add(7, []byte{1, 2, 3, 4, 5, 6, 0xda, 1})
	add(0, nil)
	name := wide("CONSOLE")
	b := append([]byte("NTLMSSP\x00\x02\x00\x00\x00"), byte(len(name)), 0, byte(len(name)), 0, 56, 0, 0, 0, 0x35, 0x82, 0x89, 0xe2, 1, 2, 3, 4, 5, 6, 7, 8)
	b = append(b, make([]byte, 8)...)
	b = append(b, byte(len(pairs)), byte(len(pairs)>>8), byte(len(pairs)), byte(len(pairs)>>8), byte(56+len(name)), 0, 0, 0)
	return append(append(append(b, 10, 0, 0x7c, 0x4f, 0, 0, 0, 15), name...), pairs...)
}

// What has the shape of Windows is answered, and its refusal has words.
func TestWindowsShapesAreUnderstood(t *testing.T) {
	b := append(message(t, request{version: 6, token: windowsChallenge()}), 0x30, 13, 0xa0, 3, 2, 1, 6, 0xa4, 6, 2, 4, 0x80, 9, 3, 2)
	heard, err := lie(b)
	if session.KindOf(err) != session.Refused || !bytes.Contains(heard, []byte("NTLMSSP\x00\x03")) {
		t.Errorf("%v", err)
	}
}

func FuzzProve(f *testing.F) {
	f.Add(message(f, request{version: 6, token: windowsChallenge()}))
	f.Add(append(message(f, request{version: 6, token: windowsChallenge()}), message(f, request{version: 6, key: make([]byte, 48)})...))
	f.Add(append(message(f, request{version: 6, token: windowsChallenge()}), 0x30, 13, 0xa0, 3, 2, 1, 6, 0xa4, 6, 2, 4, 0x80, 9, 3, 2))
	for _, b := range hostile(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := lie(b); err == nil {
			t.Error("a console that proves nothing is believed")
		}
	})
}

func TestRefusalsHaveWords(t *testing.T) {
	for _, status := range []uint32{0xc000006d, 0xc0000071, 0xc0000072, 0xc0000193, 0xc0000234, 0xc000006e, 0xc000005e, 0xc0000001, 0xc0000418} {
		var e *session.Error
		if err := Refusal(status); !errors.As(err, &e) || e.Next == "" || e.Kind != session.Refused {
			t.Errorf("%#x: %v", status, err)
		}
	}
}

// A Windows that takes no NTLM says so with a number that is negative in DER.
func TestNTLMIsNotTaken(t *testing.T) {
	_, err := receive(bytes.NewReader([]byte{0x30, 13, 0xa0, 3, 2, 1, 6, 0xa4, 6, 2, 4, 0x80, 9, 3, 2}))
	var e *session.Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "NTLM") || e.Next == "" {
		t.Errorf("%v", err)
	}
}
