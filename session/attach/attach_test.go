package attach

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// here is the service that the tests attach to.
var here = session.Target{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh"}

// keys are one of each kind.
func keys(t testing.TB) map[string]crypto.Signer {
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ed25519": edKey, "p256": must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

// proved is a challenge and a proof of it.
func proved(t testing.TB, key crypto.Signer) ([]byte, Proof) {
	t.Helper()
	about := NewChallenge("SHA256:x", session.SSH, here)
	challenge := must[[]byte](t)(json.Marshal(about))
	p := Proof{V: 1, Protocol: session.SSH, Role: RoleOperate, Session: session.NewID().Session(),
		Opening: Terminal{Cols: 80, Rows: 24, Term: "xterm-256color", Shell: true}.Opening()}
	if err := p.sign(key, challenge, about); err != nil {
		t.Fatal(err)
	}
	return challenge, p
}

// A proof holds for what it was made for and for nothing else.
func TestProof(t *testing.T) {
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			challenge, p := proved(t, key)
			if err := p.Verify(challenge, session.SSH, here); err != nil {
				t.Fatal(err)
			}
			other, q := proved(t, key)
			signature := must[[]byte](t)(base64.RawURLEncoding.DecodeString(p.Signature))
			with := func(change func(p *Proof)) Proof { q := p; change(&q); return q }
			raw := func(b []byte) Proof {
				return with(func(p *Proof) { p.Signature = base64.RawURLEncoding.EncodeToString(b) })
			}
			flipped := bytes.Clone(signature)
			flipped[40] ^= 1
			noR, noS := bytes.Clone(signature), bytes.Clone(signature)
			clear(noR[:32])
			clear(noS[32:])
			for what, bad := range map[string]struct {
				p         Proof
				challenge []byte
				of        session.Target
			}{
				"another challenge":    {p, other, here},
				"another asset":        {p, challenge, session.Target{Site: "NGH", Asset: "NGH-PETCT2", Service: "recon-ssh"}},
				"another site":         {p, challenge, session.Target{Site: "HST", Asset: "NGH-PETCT1", Service: "recon-ssh"}},
				"another service":      {p, challenge, session.Target{Site: "NGH", Asset: "NGH-PETCT1", Service: "console-ssh"}},
				"another role":         {with(func(p *Proof) { p.Role = RoleWatch }), challenge, here},
				"another protocol":     {with(func(p *Proof) { p.Protocol = "vnc" }), challenge, here},
				"another session":      {with(func(p *Proof) { p.Session = q.Session }), challenge, here},
				"another key":          {with(func(p *Proof) { _, o := proved(t, keys(t)[name]); p.Key = o.Key }), challenge, here},
				"a flipped bit":        {raw(flipped), challenge, here},
				"a short signature":    {raw(signature[:63]), challenge, here},
				"a long signature":     {raw(append(bytes.Clone(signature), 0)), challenge, here},
				"no signature":         {raw(nil), challenge, here},
				"r of zero":            {raw(noR), challenge, here},
				"s of zero":            {raw(noS), challenge, here},
				"nothing but ones":     {raw(bytes.Repeat([]byte{0xff}, 64)), challenge, here},
				"padding":              {with(func(p *Proof) { p.Signature += "==" }), challenge, here},
				"a key with a comment": {with(func(p *Proof) { p.Key += " me" }), challenge, here},
				"no key":               {with(func(p *Proof) { p.Key = "" }), challenge, here},
			} {
				if err := bad.p.Verify(bad.challenge, session.SSH, bad.of); session.KindOf(err) != session.Denied {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

const ecName = "ecdsa-sha2-nistp256"

// wire is the encoding of RFC 5656 section 3.1, for any point.
func wire(point []byte) (b []byte) {
	for _, part := range [][]byte{[]byte(ecName), []byte("nistp256"), point} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return b
}

// Key lines are those that OpenSSH writes, and only those.
func TestParseKey(t *testing.T) {
	for name, key := range keys(t) {
		pub := must[ssh.PublicKey](t)(ssh.NewPublicKey(key.Public()))
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
		if _, err := ParseKey(line); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p256 := keys(t)["p256"].(*ecdsa.PrivateKey)
	point := must[[]byte](t)(p256.PublicKey.Bytes())
	lineOf := func(point []byte) string {
		return ecName + " " + base64.StdEncoding.EncodeToString(wire(point))
	}
	off, zero := bytes.Clone(point), make([]byte, 65)
	off[64] ^= 1
	zero[0] = 4
	beyond := append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...)
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	longer := must[ssh.PublicKey](t)(ssh.NewPublicKey(p384.Public()))
	compressed := elliptic.MarshalCompressed(elliptic.P256(), new(big.Int).SetBytes(point[1:33]), new(big.Int).SetBytes(point[33:]))
	for name, line := range map[string]string{
		"off the curve":  lineOf(off),
		"zero":           lineOf(zero),
		"beyond":         lineOf(beyond),
		"the origin":     lineOf(append([]byte{0}, make([]byte, 64)...)),
		"compressed":     lineOf(compressed),
		"P-384":          strings.TrimSpace(string(ssh.MarshalAuthorizedKey(longer))),
		"two spaces":     strings.Replace(lineOf(point), " ", "  ", 1),
		"a line break":   lineOf(point) + "\n",
		"other name":     "ssh-rsa " + strings.TrimPrefix(lineOf(point), ecName+" "),
		"name only":      ecName,
		"nothing":        "",
		"wrong ed25519":  "ssh-ed25519 AAAA",
		"trailing bytes": ecName + " " + base64.StdEncoding.EncodeToString(append(wire(point), 0)),
	} {
		if k, err := ParseKey(line); err == nil || k.verify(nil, make([]byte, 64)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := session.KeyLineEC(&p384.PublicKey); err == nil {
		t.Error("a line for P-384")
	}
}

// Every field of a proof is there once, under its name, and makes sense.
func TestParseProof(t *testing.T) {
	_, p := proved(t, keys(t)["ed25519"])
	good := string(must[[]byte](t)(json.Marshal(p)))
	if q, err := ParseProof([]byte(good)); err != nil || !reflect.DeepEqual(q, p) {
		t.Fatalf("%+v, %v", q, err)
	}
	opening := string(p.Opening)
	replaced := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, text := range map[string]string{
		"nothing":        "",
		"null":           "null",
		"a list":         "[]",
		"empty":          "{}",
		"unknown field":  replaced(`"v":1`, `"v":1,"x":1`),
		"repeated field": replaced(`"v":1`, `"v":1,"v":1`),
		"other case":     replaced(`"v":1`, `"V":1`),
		"missing field":  replaced(`"v":1,`, ``),
		"null field":     replaced(`"role":"operate"`, `"role":null`),
		"trailing":       good + "{}",
		"version":        replaced(`"v":1`, `"v":2`),
		"role":           replaced(`"operate"`, `"own"`),
		"no opening":     replaced(opening, `""`),
		"listed opening": replaced(opening, `[]`),
		"long opening":   replaced(opening, `{"x":"`+strings.Repeat("x", 4<<10)+`"}`),
	} {
		if _, err := ParseProof([]byte(text)); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	good = opening
	for name, text := range map[string]string{
		"nothing":        "",
		"a null":         replaced(`"shell":true`, `"shell":null`),
		"unknown field":  replaced(`"cols":80`, `"cols":80,"x":1`),
		"missing field":  replaced(`"cols":80,`, ``),
		"no columns":     replaced(`"cols":80`, `"cols":0`),
		"negative":       replaced(`"rows":24`, `"rows":-1`),
		"too wide":       replaced(`"cols":80`, `"cols":1001`),
		"too many cells": replaced(`"cols":80,"rows":24`, `"cols":1000,"rows":500`),
		"a fraction":     replaced(`"cols":80`, `"cols":80.5`),
		"terminal type":  replaced(`"xterm-256color"`, `"a b"`),
		"no type":        replaced(`"xterm-256color"`, `""`),
		"long type":      replaced(`"xterm-256color"`, `"`+strings.Repeat("x", 65)+`"`),
	} {
		if _, err := ParseTerminal([]byte(text)); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if x, err := ParseTerminal([]byte(good)); err != nil || !bytes.Equal(x.Opening(), p.Opening) {
		t.Errorf("%+v, %v", x, err)
	}
}

// samples are good frames of a side.
func samples(t testing.TB, from Side) []Frame {
	_, p := proved(t, keys(t)["p256"])
	proof := must[[]byte](t)(json.Marshal(p))
	challenge := must[[]byte](t)(json.Marshal(NewChallenge("SHA256:x", session.SSH, session.Target{Site: "X", Asset: "A", Service: "s"})))
	size := AppendSize(nil, 80, 24)
	all := []Frame{
		{TypeChallenge, challenge}, {TypeWelcome, []byte("{}")}, {TypeRefused, []byte("{}")}, {TypeNotice, []byte(`{"type":"said"}`)},
		{TypeOutput, []byte("\x1b[1mhello")}, {TypeOutput, make([]byte, MaxPayload)}, {TypeSnapshot, append(size, "screen"...)},
		{TypeProof, proof}, {TypeInput, []byte("ls\r")}, {TypeResize, size}, {TypeStart, size}, {TypeClose, nil}, {TypePing, nil},
		{TypePing, []byte("12345678")}, {TypeFiles, []byte(`{"id":1,"op":"list","path":"/"}`)}, {TypeData, []byte("\x00\x00\x00\x01data")},
		{TypeEnd, []byte{0, 0, 0, 1}}, {TypeCredit, []byte{0, 0, 0, 1, 0, 4, 0, 0}}, {TypeCode, []byte("123 456")}, {TypeLook, []byte{0, 0, 0, 1}},
	}
	var mine []Frame
	for _, f := range all {
		if _, _, ok := bounds(f.Type, from); ok {
			mine = append(mine, f)
		}
	}
	return mine
}

// Frames come out as they went in, whatever pieces the network makes of them.
func TestFrames(t *testing.T) {
	for _, from := range []Side{Agent, Browser} {
		var wire []byte
		var err error
		for _, f := range samples(t, from) {
			if wire, err = Append(wire, from, f.Type, f.Payload); err != nil {
				t.Fatalf("%c: %v", f.Type, err)
			}
		}
		for _, r := range []io.Reader{bytes.NewReader(wire), io.MultiReader(bytes.NewReader(wire[:7]), bytes.NewReader(wire[7:]))} {
			in := NewReader(r, from)
			for i, f := range samples(t, from) {
				got, err := in.Read()
				if err != nil || got.Type != f.Type || len(got.Payload) != len(f.Payload) {
					t.Fatalf("frame %d: %c of %d bytes, %v", i, got.Type, len(got.Payload), err)
				}
			}
			if _, err := in.Read(); err != io.EOF {
				t.Errorf("after the last frame: %v", err)
			}
		}
		if _, err := NewReader(bytes.NewReader(wire[:len(wire)-1]), from).Read(); err != nil {
			t.Errorf("the first of a cut stream: %v", err)
		}
	}
}

func TestMalformedFrames(t *testing.T) {
	long := func(t Type, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{byte(t)}, n) }
	for name, test := range map[string]struct {
		from Side
		wire []byte
	}{
		"unknown type":          {Browser, long('?', 0)},
		"the agent's type":      {Browser, long(TypeOutput, 1)},
		"the browser's type":    {Agent, long(TypeInput, 1)},
		"oversize":              {Browser, long(TypeInput, MaxPayload+1)},
		"huge":                  {Browser, long(TypeInput, 1<<31)},
		"JSON too large":        {Browser, long(TypeProof, MaxJSON+1)},
		"empty input":           {Browser, long(TypeInput, 0)},
		"short size":            {Browser, long(TypeResize, 3)},
		"long size":             {Browser, long(TypeStart, 5)},
		"close with a reason":   {Browser, long(TypeClose, 1)},
		"no code":               {Browser, long(TypeCode, 0)},
		"long code":             {Browser, long(TypeCode, MaxCode+1)},
		"the agent's code":      {Agent, long(TypeCode, 6)},
		"long ping":             {Browser, long(TypePing, 9)},
		"data without bytes":    {Browser, long(TypeData, 4)},
		"credit":                {Agent, long(TypeCredit, 7)},
		"snapshot without size": {Agent, long(TypeSnapshot, 3)},
	} {
		if _, err := NewReader(bytes.NewReader(test.wire), test.from).Read(); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, cut := range [][]byte{{'I'}, {'I', 0, 0}, {'I', 0, 0, 0, 2, 'x'}} {
		if _, err := NewReader(bytes.NewReader(cut), Browser).Read(); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", cut, err)
		}
	}
	if _, err := Append(nil, Agent, TypeInput, []byte("x")); err == nil {
		t.Error("an agent sent input")
	}
}

func FuzzRead(f *testing.F) {
	for _, from := range []Side{Agent, Browser} {
		for _, s := range samples(f, from) {
			wire, _ := Append(nil, from, s.Type, s.Payload)
			f.Add(wire, bool(from))
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte, from bool) {
		in := NewReader(bytes.NewReader(wire), Side(from))
		var again []byte
		for {
			got, err := in.Read()
			if err != nil {
				break
			}
			if again, err = Append(again, Side(from), got.Type, got.Payload); err != nil {
				t.Fatalf("%c was read and cannot be written", got.Type)
			}
		}
		if !bytes.HasPrefix(wire, again) {
			t.Error("what was read is not what was there")
		}
	})
}

func FuzzProof(f *testing.F) {
	for _, key := range keys(f) {
		challenge, p := proved(f, key)
		text, _ := json.Marshal(p)
		f.Add(text, challenge)
	}
	f.Add([]byte(`{"v":1,"v":1}`), []byte("{}"))
	f.Fuzz(func(t *testing.T, text, challenge []byte) {
		p, err := ParseProof(text)
		if err != nil {
			return
		}
		if x, err := ParseTerminal(p.Opening); err == nil && CheckSize(x.Cols, x.Rows) != nil || p.V != Version {
			t.Errorf("%+v", p)
		}
		if p.Verify(challenge, session.SSH, session.Target{Site: "X", Asset: "A", Service: "s"}) == nil {
			t.Errorf("a proof made of nothing holds: %s", text)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, key := range keys(f) {
		_, p := proved(f, key)
		f.Add(p.Key)
	}
	f.Fuzz(func(t *testing.T, line string) {
		k, err := ParseKey(line)
		if err != nil {
			return
		}
		pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) != line {
			t.Errorf("%q is read here and not by ssh: %v, %v", line, k, err)
		}
	})
}

// late gives one byte at a time, and is too late before each.
type late struct {
	rest []byte
	due  bool
}

func (l *late) Read(p []byte) (int, error) {
	if l.due = !l.due; l.due {
		return 0, os.ErrDeadlineExceeded
	}
	if len(l.rest) == 0 {
		return 0, io.EOF
	}
	p[0], l.rest = l.rest[0], l.rest[1:]
	return 1, nil
}

// A deadline in the middle of a frame loses nothing of it.
func TestAFrameIsReadOverDeadlines(t *testing.T) {
	wire := must[[]byte](t)(Append(nil, Browser, TypeCode, []byte("123456")))
	wire = must[[]byte](t)(Append(wire, Browser, TypeClose))
	wire = must[[]byte](t)(Append(wire, Browser, TypeInput, []byte("abc")))
	in, got := NewReader(&late{rest: append(wire, wire[0])}, Browser), ""
	for range 100 {
		f, err := in.Read()
		switch {
		case err == nil:
			got += string(f.Type) + string(f.Payload) + " "
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != io.ErrUnexpectedEOF:
			t.Fatal(err)
		}
	}
	if got != "A123456 X Iabc " {
		t.Errorf("read %q", got)
	}
}
