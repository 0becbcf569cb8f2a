package session_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

func TestTargetsReadBackAsTheyAreWritten(t *testing.T) {
	full := session.Target{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh"}
	for _, x := range []session.Target{full, full.Short()} {
		if got, err := session.ParseTarget(x.String()); err != nil || got != x {
			t.Errorf("%s: %+v, %v", x, got, err)
		}
		if got, err := session.ParseHost(x.Host()); err != nil || !got.Names(x) || got.Host() != x.Host() {
			t.Errorf("%s: %+v, %v", x.Host(), got, err)
		}
		x.Service = ""
		if got, err := session.ParseAsset(x.String()); err != nil || got != x {
			t.Errorf("%s: %+v, %v", x, got, err)
		}
	}
	if full.String() != "NGH/NGH-PETCT1/recon-ssh" || full.Host() != "recon-ssh.ngh-petct1.ngh" || full.Short().Host() != "recon-ssh.ngh-petct1" {
		t.Error(full, full.Host())
	}
}

func TestWhatIsNoNameNamesNothing(t *testing.T) {
	long := strings.Repeat("x", 65)
	for _, s := range []string{"", "/", "a", "/a/b", "a//b", "a/b/", "/a/b/c", "a/b/c/d", "a.b/c", "a/b.c", "a b/c", "a/-b", long + "/a", "a/b\n", "ä/b"} {
		if got, err := session.ParseTarget(s); session.KindOf(err) != session.Invalid || got != (session.Target{}) {
			t.Errorf("target %q: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "/", "/a", "a/", "a/b/c", "a.b", long, "a/b\x00"} {
		if got, err := session.ParseAsset(s); session.KindOf(err) != session.Invalid || got != (session.Target{}) {
			t.Errorf("asset %q: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", ".", "a", "a.", ".a", "a..b", ".a.b", "a.b.", "a.b.c.", "a.b.c.d", "a/b.c", long + ".a", "a.b\r"} {
		if got, err := session.ParseHost(s); session.KindOf(err) != session.Invalid || got != (session.Target{}) {
			t.Errorf("host %q: %+v, %v", s, got, err)
		}
	}
}

// Hyphens and case do not make one host of two scanners.
func TestHostNamesPart(t *testing.T) {
	seen := map[string]session.Target{}
	for _, x := range []session.Target{{"a-b", "c", "s"}, {"a", "b-c", "s"}, {"a", "b", "c-s"}, {"a", "b", "s"}, {"b", "a", "s"}, {"", "b", "a"}, {"", "a-b", "s"}} {
		if other, taken := seen[x.Host()]; taken {
			t.Errorf("%s of %s and %s", x.Host(), x, other)
		}
		seen[x.Host()] = x
	}
}

func TestAmbiguousIsRefusedWithEveryName(t *testing.T) {
	ngh, hst := session.Target{"NGH", "PETCT1", "ssh"}, session.Target{"HST", "petct1", "SSH"}
	other := session.Target{"NGH", "PETCT2", "ssh"}
	for typed, want := range map[session.Target]session.Target{
		{"ngh", "petct1", "ssh"}: ngh, {"HST", "PETCT1", "ssh"}: hst, {"", "PetCT2", "ssh"}: other,
	} {
		if got, found, err := typed.Choose([]session.Target{hst, other, ngh, ngh}); got != want || !found || err != nil {
			t.Errorf("%s: %s, %v, %v", typed, got, found, err)
		}
	}
	if got, found, err := (session.Target{"", "petct3", "ssh"}).Choose([]session.Target{ngh, hst}); found || err != nil || got != (session.Target{}) {
		t.Error(got, found, err)
	}
	got, found, err := session.Target{Asset: "PETCT1", Service: "ssh"}.Choose([]session.Target{ngh, hst})
	if found || session.KindOf(err) != session.Invalid || got != (session.Target{}) ||
		!strings.Contains(err.Error(), "HST/petct1/SSH") || !strings.Contains(err.Error(), "NGH/PETCT1/ssh") {
		t.Error(got, found, err)
	}
	var many []session.Target
	for _, c := range "abcdefghij" {
		many = append(many, session.Target{Site: string(c), Asset: "x", Service: "y"})
	}
	if _, _, err := many[0].Short().Choose(many); err == nil || !strings.HasSuffix(err.Error(), "a/x/y, b/x/y, c/x/y, d/x/y or 6 more.") {
		t.Error(err)
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"NGH/NGH-PETCT1/recon-ssh", "NGH-PETCT1/recon-ssh", "recon-ssh.ngh-petct1.ngh", "a/b/c/d", "/a/b", "..", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if x, err := session.ParseTarget(s); err == nil && x.String() != s {
			t.Errorf("%q is read as %s", s, x)
		}
		if x, err := session.ParseAsset(s); err == nil && x.String() != s {
			t.Errorf("%q is read as %s", s, x)
		}
		if x, err := session.ParseHost(s); err == nil && x.Host() != strings.ToLower(s) {
			t.Errorf("%q is read as %s", s, x.Host())
		}
	})
}
