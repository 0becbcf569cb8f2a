package session_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

func TestIDsHaveOneSpelling(t *testing.T) {
	if err := quick.Check(func(raw [16]byte) bool {
		id := session.ID(raw)
		a, errA := session.ParseText(id.Text())
		b, errB := session.ParseRequestID(id.Request())
		c, errC := session.ParseSessionID(id.Session())
		d, errD := session.ParseRecordingID(id.Recording())
		return errors.Join(errA, errB, errC, errD) == nil && a == id && b == id && c == id && d == id && len(id.Text()) == 22
	}, nil); err != nil {
		t.Error(err)
	}
	id := session.ID{1, 2, 3}
	for _, s := range []string{"", "R-", id.Session(), strings.ToUpper(id.Request()), id.Request() + "a", id.Request()[:27], " " + id.Request(), id.Request()[:27] + "b", "R-" + strings.Repeat("1", 26)} {
		if _, err := session.ParseRequestID(s); session.KindOf(err) != session.Invalid {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", id.Text() + "=", id.Text()[:21], id.Text()[:21] + "B", id.Text() + "\n"} {
		if _, err := session.ParseText(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "NGH-PETCT1", "recon-ssh", strings.Repeat("x", 64)} {
		if !session.ValidName(good) {
			t.Errorf("%q is a name", good)
		}
	}
	for _, bad := range []string{"", "-a", "a-", "a.b", "a b", "ä", "a/b", "a\x00", strings.Repeat("x", 65)} {
		if session.ValidName(bad) {
			t.Errorf("%q is no name", bad)
		}
	}
}

func TestClassesAreOrdered(t *testing.T) {
	order := session.Classes()
	for i, c := range order {
		for j, limit := range order {
			if c.Within(limit) != (i <= j) {
				t.Errorf("%s within %s", c, limit)
			}
		}
	}
	if session.Class("").Within(session.Disruptive) || session.Observe.Within("everything") {
		t.Error("an unknown class is within nothing, and nothing within it")
	}
}

// Whatever is known of a request, it has a status, and time alone moves it only
// towards lapsed or closed.
func TestStatusIsDerived(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	moments := []time.Time{{}, at.Add(-time.Minute), at}
	final := map[session.Status]bool{session.DeniedBy: true, session.Withdrawn: true, session.Lapsed: true, session.Revoked: true, session.Closed: true}
	for _, denied := range moments {
		for _, withdrawn := range moments {
			for _, granted := range moments {
				for _, opened := range moments {
					for _, ended := range moments {
						for _, reason := range []session.EndReason{"", session.Completed, session.RevokedGrant} {
							f := session.RequestFacts{NotAfter: at.Add(time.Hour), Denied: denied, Withdrawn: withdrawn, Granted: granted,
								Session: session.SessionFacts{Opened: opened, Deadline: at.Add(time.Minute), Ended: ended, Reason: reason}}
							now, later := f.Status(at), f.Status(at.Add(2*time.Hour))
							if final[now] && now != later {
								t.Errorf("%+v: %s became %s", f, now, later)
							}
							if !final[later] {
								t.Errorf("%+v: still %s after its end", f, later)
							}
							if now == session.Approved && granted.IsZero() {
								t.Errorf("%+v: approved without a grant", f)
							}
						}
					}
				}
			}
		}
	}
}

func TestASessionIsOverAtItsDeadline(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	f := session.SessionFacts{Opened: at, Deadline: session.Deadline(at, time.Hour, at.Add(30*time.Minute))}
	if !f.Deadline.Equal(at.Add(30 * time.Minute)) {
		t.Errorf("the window's end comes first: %s", f.Deadline)
	}
	if f.State(at) != session.Live || f.WhyEnded(at) != "" {
		t.Error("live until then")
	}
	if f.State(f.Deadline) != session.Ended || f.WhyEnded(f.Deadline) != session.OutOfTime {
		t.Error("over at the very deadline, without anybody's report")
	}
	f.Frozen = true
	if f.State(at) != session.Frozen || f.State(f.Deadline) != session.Ended {
		t.Error("a freeze does not hold the clock")
	}
}

func TestKeysAreNamedAsOpenSSHNamesThem(t *testing.T) {
	pub := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	theirs, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	if session.Fingerprint(pub) != ssh.FingerprintSHA256(theirs) {
		t.Error(session.Fingerprint(pub))
	}
	line := session.KeyLine(pub)
	if line+"\n" != string(ssh.MarshalAuthorizedKey(theirs)) {
		t.Error(line)
	}
	if back, err := session.ParseKeyLine(line); err != nil || !back.Equal(pub) {
		t.Error(err)
	}
	raw := strings.TrimPrefix(line, "ssh-ed25519 ")
	wire, _ := base64.StdEncoding.DecodeString(raw)
	wire[3] = 12
	for _, bad := range []string{"", line + " me", line + "\n", raw, "ssh-rsa " + raw, "ssh-ed25519 " + base64.StdEncoding.EncodeToString(wire)} {
		if _, err := session.ParseKeyLine(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestErrorsKeepTheirKindAndTheirDetailsApart(t *testing.T) {
	cause := errors.New("disk on fire")
	err := fmt.Errorf("open session: %w", session.Errorf(session.Refused, "The scanner is in use: %w", cause).WithNext("Ask again."))
	if session.KindOf(err) != session.Refused || !errors.Is(err, cause) {
		t.Error(err)
	}
	if session.KindOf(cause) != session.Internal || session.KindOf(nil) != session.Internal {
		t.Error("what nobody classified is our fault")
	}
}

// Anybody can sign for a key whose point has a small order, so it is no key. That each of
// these is one is shown by a signature made without a private key.
func TestKeysOfSmallOrderAreRefused(t *testing.T) {
	forged := make([]byte, ed25519.SignatureSize) // R is the neutral point, S is 0
	forged[0] = 1
	proven := 0
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		for _, sign := range []byte{0, 0x80} {
			pub, err := hex.DecodeString(y)
			if err != nil {
				t.Fatal(err)
			}
			pub[31] |= sign
			if _, err := session.ParseKeyLine(session.KeyLine(pub)); session.KindOf(err) != session.Invalid {
				t.Errorf("%x is a key: %v", pub, err)
			}
			for i := range 200 {
				if ed25519.Verify(pub, []byte{byte(i)}, forged) {
					proven++
					break
				}
			}
		}
	}
	if proven < 8 {
		t.Errorf("only %d of these keys are known to be forgeable", proven)
	}
}

func FuzzScreen(f *testing.F) {
	f.Add([]byte{0, 80, 0, 24, 'x'})
	f.Add([]byte{0, 0, 0, 24})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := session.ParseScreen(b)
		if err == nil && string(s.Bytes()) != string(b) {
			t.Fatalf("%q became %q", b, s.Bytes())
		}
	})
}
