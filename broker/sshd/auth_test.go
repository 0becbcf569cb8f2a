package sshd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	mrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// A server of gliderlabs without handlers lets everybody in; ours must not, by
// whatever name and whatever method except a signature.
func TestNobodyEntersWithoutASignature(t *testing.T) {
	o := openDoor(t)
	known, _ := o.key(t, jana)
	pub := known.PublicKey()
	for name, try := range map[string]func(*raw) byte{
		"none":                       func(c *raw) byte { return c.none(User) },
		"none as nokey":              func(c *raw) byte { return c.none(UserNoKey) },
		"none twice":                 func(c *raw) byte { c.none(User); return c.none(User) },
		"password":                   func(c *raw) byte { return c.password(User, "") },
		"keyboard-interactive":       func(c *raw) byte { return c.interactive(User) },
		"none after an offer":        func(c *raw) byte { c.query(User, pub); return c.none(User) },
		"password after an offer":    func(c *raw) byte { c.query(User, pub); return c.password(User, "x") },
		"interactive after an offer": func(c *raw) byte { c.query(User, pub); return c.interactive(User) },
		"gssapi":                     func(c *raw) byte { return c.try(auth(User, "gssapi-with-mic", []byte{0, 0, 0, 0})) },
		"hostbased":                  func(c *raw) byte { return c.try(auth(User, "hostbased")) },
	} {
		t.Run(name, func(t *testing.T) {
			if got := try(dialRaw(t, o.addr)); got != msgFailure {
				t.Errorf("answer %d, want failure", got)
			}
		})
	}
	if o.lookups != 0 {
		t.Errorf("%d key lookups for keys that nobody proved", o.lookups)
	}
}

// Before authentication there is no channel to open.
func TestNoChannelBeforeAuthentication(t *testing.T) {
	o := openDoor(t)
	known, _ := o.key(t, jana)
	c := dialRaw(t, o.addr)
	if got := c.query(User, known.PublicKey()); got != msgPKOK {
		t.Fatalf("offer of a key answered %d", got)
	}
	if got, _ := c.direct(granted, 22); got == msgOpenConfirm {
		t.Fatal("a channel opened for a key that nobody proved")
	}
	if n := len(o.routedFor()); n != 0 {
		t.Errorf("Route was asked %d times", n)
	}
}

// Whatever was offered before, in whatever order: who is let through is the owner
// of the key that signed, and an unknown key that signs lets nobody through.
func TestIdentityIsTheSigningKey(t *testing.T) {
	o := openDoor(t)
	a, _ := o.key(t, jana)
	b, _ := o.key(t, luis)
	stranger, _ := o.key(t, session.Identity{})
	keys := map[string]gossh.Signer{"a": a, "b": b, "c": stranger}
	owners := map[string]session.Identity{"a": jana, "b": luis}
	names := []string{"a", "b", "c"}
	random := mrand.New(mrand.NewPCG(7, 11))

	for round := range 240 {
		c := dialRaw(t, o.addr)
		var order strings.Builder
		failures := 0
		for range random.IntN(6) { // the prologue: things that must leave no trace
			name := names[random.IntN(3)]
			switch random.IntN(8) {
			case 0:
				order.WriteString("none ")
				c.none(User)
				failures++
			case 1:
				order.WriteString("password ")
				c.password(User, name)
				failures++
			case 2:
				order.WriteString("interactive ")
				c.interactive(User)
				failures++
			default:
				fmt.Fprintf(&order, "offer-%s ", name)
				if got := c.query(User, keys[name].PublicKey()); got != msgPKOK {
					t.Fatalf("%s: answer %d", order.String(), got)
				}
			}
			if failures == maxTries-1 { // the first none may be free; stay clear of the limit
				break
			}
		}
		signs := names[random.IntN(3)]
		fmt.Fprintf(&order, "sign-%s", signs)
		before := len(o.routedFor())
		got := c.sign(t, User, keys[signs])
		c2, text := c.direct(granted, 22)
		asked := o.routedFor()[before:]
		want, known := owners[signs]
		switch {
		case known && (got != msgSuccess || c2 != msgOpenConfirm):
			t.Fatalf("round %d: %s: sign %d, open %d %s", round, order.String(), got, c2, text)
		case known && (len(asked) != 1 || asked[0] != want):
			t.Fatalf("round %d: %s: let through as %v, signed by %v", round, order.String(), asked, want)
		case !known && (got == msgSuccess || c2 == msgOpenConfirm || len(asked) != 0):
			t.Fatalf("round %d: %s: a stranger got in (%d, %d, %v)", round, order.String(), got, c2, asked)
		}
		c.nc.Close()
	}
}

// The user name may change between attempts; the one beside the signature counts.
func TestUserNameOfTheSignatureCounts(t *testing.T) {
	o := openDoor(t)
	known, _ := o.key(t, jana)
	c := dialRaw(t, o.addr)
	c.query(User, known.PublicKey())
	if got := c.sign(t, UserNoKey, known); got != msgFailure {
		t.Errorf("a key signed in as %s: %d", UserNoKey, got)
	}
	if got := c.sign(t, "root", known); got != msgFailure {
		t.Errorf("a key signed in as root: %d", got)
	}
	d := dialRaw(t, o.addr)
	d.none("root")
	if got := d.sign(t, User, known); got != msgSuccess {
		t.Errorf("the right name after a wrong one: %d", got)
	}
}

// A signature over another session's id, or by another key, ends the connection.
func TestForgedSignature(t *testing.T) {
	o := openDoor(t)
	known, _ := o.key(t, jana)
	c := dialRaw(t, o.addr)
	c.session[0] ^= 1
	if got := c.sign(t, User, known); got != 0 {
		t.Errorf("a signature for another session was answered %d", got)
	}
}

func TestKindsOfKeys(t *testing.T) {
	o := openDoor(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := gossh.NewSignerFromKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	o.owners[keyLine(p256.PublicKey())] = jana
	if _, err := o.client(t, User, gossh.PublicKeys(p256)); err != nil {
		t.Errorf("P-256: %v", err)
	}
	rk, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := gossh.NewSignerFromKey(rk)
	if err != nil {
		t.Fatal(err)
	}
	o.owners[keyLine(rsaKey.PublicKey())] = jana
	if _, err := o.client(t, User, gossh.PublicKeys(rsaKey)); err == nil {
		t.Error("RSA was let in: no request can name such a key")
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k384, err := gossh.NewSignerFromKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	o.owners[keyLine(k384.PublicKey())] = jana
	if _, err := o.client(t, User, gossh.PublicKeys(k384)); err == nil {
		t.Error("P-384 was let in")
	}
}

// Certificates are refused, even of a key that is known, by any authority and
// with the empty principal list that x/crypto accepts for every user.
func TestCertificatesAreRefused(t *testing.T) {
	o := openDoor(t)
	known, _ := o.key(t, jana)
	authority, _ := o.key(t, luis)
	for _, principals := range [][]string{nil, {User}, {"a,b"}} {
		for _, by := range []gossh.Signer{authority, known} {
			cert := &gossh.Certificate{
				Key: known.PublicKey(), CertType: gossh.UserCert, ValidPrincipals: principals,
				ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
			}
			if err := cert.SignCert(rand.Reader, by); err != nil {
				t.Fatal(err)
			}
			o.owners[keyLine(cert)] = jana
			signer, err := gossh.NewCertSigner(cert, known)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.client(t, User, gossh.PublicKeys(signer)); err == nil {
				t.Errorf("a certificate for %v was let in", principals)
			}
			if got := dialRaw(t, o.addr).sign(t, User, signer); got == msgSuccess {
				t.Errorf("a certificate for %v was let in", principals)
			}
		}
	}
}

func TestThreeTries(t *testing.T) {
	o := openDoor(t)
	stranger, _ := o.key(t, session.Identity{})
	known, _ := o.key(t, jana)
	c := dialRaw(t, o.addr)
	c.none(User) // the first one asks for the methods and is free
	for i := range maxTries - 1 {
		if got := c.sign(t, User, stranger); got != msgFailure {
			t.Fatalf("try %d answered %d", i+1, got)
		}
	}
	if got := c.sign(t, User, stranger); got != msgDisconnect {
		t.Fatalf("the last try answered %d, want disconnect", got)
	}
	if got := c.sign(t, User, known); got != 0 {
		t.Fatalf("a fourth try was answered %d", got)
	}
	if len(c.banners) != 1 {
		t.Errorf("banners %q, want one however many keys", c.banners)
	}
}

func TestBanners(t *testing.T) {
	o := openDoor(t)
	stranger, _ := o.key(t, session.Identity{})
	known, _ := o.key(t, jana)
	for name, c := range map[string]struct {
		try  func(*raw) byte
		desk error
		want string
	}{
		"no key":       {func(c *raw) byte { return c.none(UserNoKey) }, nil, "nothing was requested"},
		"unknown key":  {func(c *raw) byte { return c.sign(t, User, stranger) }, nil, "belongs to no live request"},
		"expired":      {func(c *raw) byte { return c.sign(t, User, known) }, session.Errorf(session.Expired, "x"), "belongs to no live request"},
		"store down":   {func(c *raw) byte { return c.sign(t, User, known) }, session.Errorf(session.Unreachable, "The store does not answer."), "The store does not answer."},
		"broken":       {func(c *raw) byte { return c.sign(t, User, known) }, fmt.Errorf("pq: secret detail"), "fault of its own"},
		"wrong user":   {func(c *raw) byte { return c.none("root\x1b[2J") }, nil, "the user name here is sallyport, not root\ufffd[2J"},
		"says how":     {func(c *raw) byte { return c.none(UserNoKey) }, nil, "sallyport request new"},
		"says how too": {func(c *raw) byte { return c.sign(t, User, stranger) }, nil, "sallyport request new"},
	} {
		t.Run(name, func(t *testing.T) {
			o.desk.mu.Lock()
			o.ownerErr = c.desk
			o.desk.mu.Unlock()
			r := dialRaw(t, o.addr)
			if got := c.try(r); got != msgFailure {
				t.Errorf("answer %d, want failure", got)
			}
			all := strings.Join(r.banners, "")
			if !strings.Contains(all, c.want) || strings.Contains(all, "secret detail") {
				t.Errorf("banner %q does not say %q", all, c.want)
			}
			if !wording.Plain(strings.ReplaceAll(all, "\r\n", "")) {
				t.Errorf("banner %q is not plain", all)
			}
		})
	}
}

// An access desk that forgets to say no must not let anybody in.
func TestOwnerlessKeyIsRefused(t *testing.T) {
	o := openDoor(t)
	s, _ := o.key(t, session.Identity{Iss: "x"})
	if _, err := o.client(t, User, gossh.PublicKeys(s)); err == nil {
		t.Error("a key without a subject was let in")
	}
}
