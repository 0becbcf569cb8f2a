package grant_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// The exact bytes are the contract between programs of different ages.
const (
	requestGolden = `{"v":1,"typ":"sallyport-request","rid":"AAECAwQFBgcICQoLDA0ODw","kind":"session","parent":"","site":"NGH","asset":"NGH-PETCT1","services":["recon-ssh"],"class":"non-disruptive","channels":["exec","shell"],"nbf":1772600767,"exp":1772615167,"maxs":1800,"eng":{"iss":"https://idp.vendor.example","sub":"eva"},"key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop","reason":"tube arcs <again> & again","ref":"WO-1234"}`
	grantGolden   = `{"v":1,"typ":"sallyport-grant","gid":"AAECAwQFBgcICQoLDA0ODw","req":"9ffd6b1a6c4d4a2bb9d1cf6f38f2a0b5e2bd5fb7d6de5d0ed9a0d4a1f3e4c5b6","site":"NGH","agent":"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU","asset":"NGH-PETCT1","services":["recon-ssh"],"class":"observe","channels":["shell"],"nbf":1772600767,"exp":1772615167,"maxs":900,"obl":["record"]}`
)

func TestGoldenDocuments(t *testing.T) {
	r, err := grant.ParseRequest([]byte(requestGolden))
	if err != nil {
		t.Fatal(err)
	}
	if got := marshal(t, r); string(got) != requestGolden {
		t.Errorf("request written as %s", got)
	}
	g, err := grant.ParseGrant([]byte(grantGolden))
	if err != nil {
		t.Fatal(err)
	}
	if got := marshal(t, g); string(got) != grantGolden {
		t.Errorf("grant written as %s", got)
	}
}

// The formulas of the hashes and nonces, written out once more.
func TestHashesAndNonces(t *testing.T) {
	doc := []byte(requestGolden)
	if grant.RequestHash(doc) != sha256.Sum256([]byte("sallyport/request/v1\x00"+requestGolden)) {
		t.Error("qh")
	}
	if grant.GrantHash(doc) != sha256.Sum256([]byte("sallyport/grant/v1\x00"+requestGolden)) {
		t.Error("gh")
	}
	salt := [32]byte{1, 2, 3}
	expect := func(role string, parts ...[32]byte) string {
		all := []byte("sallyport/v1/" + role + "\x00")
		for _, p := range append(parts, salt) {
			all = append(all, p[:]...)
		}
		sum := sha256.Sum256(all)
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	gh, qh := grant.GrantHash([]byte(grantGolden)), grant.RequestHash(doc)
	key := keyLine(1)
	for name, pair := range map[string][2]string{
		"request":  {grant.RequestNonce(doc, salt), expect("request", qh, [32]byte{})},
		"approve":  {grant.ApproveNonce([]byte(grantGolden), "a.b.c", salt), expect("approve", gh, sha256.Sum256([]byte("a.b.c")))},
		"activate": {grant.Nonce(grant.RoleActivate, gh, grant.KeyHash(key), salt), expect("activate", gh, sha256.Sum256([]byte(key)))},
		"login":    {grant.LoginNonce("https://broker.example", key, salt), expect("login", sha256.Sum256([]byte("https://broker.example")), sha256.Sum256([]byte(key)))},
		"slash":    {grant.LoginNonce("https://broker.example/", key, salt), grant.LoginNonce("https://broker.example", key, salt)},
	} {
		if pair[0] != pair[1] || len(pair[0]) != 43 {
			t.Errorf("%s: %q, want %q", name, pair[0], pair[1])
		}
	}
	if one, two := grant.NewSalt(), grant.NewSalt(); one == two {
		t.Error("salts repeat")
	}
}

func TestSpellingsThatAreRefused(t *testing.T) {
	edit := func(old, new string) string { return strings.Replace(requestGolden, old, new, 1) }
	rows := map[string]string{
		"nothing":                   "",
		"not JSON":                  "R-aaaa",
		"null":                      "null",
		"a list":                    "[" + requestGolden + "]",
		"white space before":        " " + requestGolden,
		"line feed after":           requestGolden + "\n",
		"second document after":     requestGolden + requestGolden,
		"garbage after":             requestGolden + "x",
		"white space inside":        edit(`"v":1,`, `"v":1, `),
		"duplicate name, same":      edit(`"v":1,`, `"v":1,"v":1,`),
		"duplicate asset":           edit(`"asset":"NGH-PETCT1",`, `"asset":"NGH-MR1","asset":"NGH-PETCT1",`),
		"duplicate asset, last":     edit(`"ref":"WO-1234"`, `"ref":"WO-1234","asset":"NGH-MR1"`),
		"case variant":              edit(`"asset"`, `"Asset"`),
		"case variant beside":       edit(`"ref":"WO-1234"`, `"ref":"WO-1234","ASSET":"NGH-MR1"`),
		"unknown name":              edit(`"ref":"WO-1234"`, `"ref":"WO-1234","admin":true`),
		"unknown name in eng":       edit(`"sub":"eva"`, `"sub":"eva","email":"x"`),
		"missing ref":               edit(`,"ref":"WO-1234"`, ``),
		"missing parent":            edit(`"parent":"",`, ``),
		"missing eng":               edit(`"eng":{"iss":"https://idp.vendor.example","sub":"eva"},`, ``),
		"other order":               edit(`"v":1,"typ":"sallyport-request"`, `"typ":"sallyport-request","v":1`),
		"escaped letter":            edit(`"NGH"`, `"\u004eGH"`),
		"escaped angle":             edit(`<again>`, `\u003cagain\u003e`),
		"escaped slash":             edit(`https://`, `https:\/\/`),
		"number as exponent":        edit(`"maxs":1800`, `"maxs":1.8e3`),
		"number as fraction":        edit(`"maxs":1800`, `"maxs":1800.0`),
		"number as string":          edit(`"maxs":1800`, `"maxs":"1800"`),
		"number too large":          edit(`"maxs":1800`, `"maxs":99999999999999999999`),
		"services null":             edit(`["recon-ssh"]`, `null`),
		"channels null":             edit(`["exec","shell"]`, `null`),
		"kind null":                 edit(`"session"`, `null`),
		"invalid UTF-8":             edit(`tube`, "t\xffbe"),
		"lone surrogate":            edit(`tube`, `\ud800`),
		"byte order mark":           "\ufeff" + requestGolden,
		"other version":             edit(`"v":1`, `"v":2`),
		"a grant":                   grantGolden,
		"typ of a grant":            edit(`sallyport-request`, `sallyport-grant`),
		"more than 4096 bytes":      edit(`"reason":"`, `"reason":"`+strings.Repeat("x", 4096)),
		"a megabyte of open braces": strings.Repeat("{", 1<<20),
	}
	for name, doc := range rows {
		t.Run(name, func(t *testing.T) {
			if doc == requestGolden {
				t.Fatal("the row changes nothing")
			}
			_, err := grant.ParseRequest([]byte(doc))
			refusedAs(t, err, session.Invalid)
			if name != "a grant" {
				_, err = grant.ParseGrant([]byte(doc))
				refusedAs(t, err, session.Invalid)
			}
		})
	}
}

// Each row breaks one field; neither Marshal nor Parse lets it pass.
func TestFieldsThatAreRefused(t *testing.T) {
	other := func(kind, parent string) func(*grant.Request) {
		return func(r *grant.Request) { r.Kind, r.Parent = kind, parent }
	}
	id := session.NewID().Text()
	rows := map[string]func(*grant.Request){
		"rid too short":              func(r *grant.Request) { r.RID = "AAEC" },
		"rid not canonical":          func(r *grant.Request) { r.RID = "AAECAwQFBgcICQoLDA0ODx" },
		"rid of zeros":               func(r *grant.Request) { r.RID = session.ID{}.Text() },
		"unknown kind":               other("break-glass", ""),
		"session with parent":        other("session", id),
		"extension without parent":   other("extension", ""),
		"handover without parent":    other("handover", "x"),
		"site with a dot":            func(r *grant.Request) { r.Site = "NGH.evil" },
		"asset empty":                func(r *grant.Request) { r.Asset = "" },
		"asset with a slash":         func(r *grant.Request) { r.Asset = "../MR1" },
		"no services":                func(r *grant.Request) { r.Services = []string{} },
		"services not sorted":        func(r *grant.Request) { r.Services = []string{"b", "a"} },
		"service twice":              func(r *grant.Request) { r.Services = []string{"a", "a"} },
		"33 services":                func(r *grant.Request) { r.Services = many(33) },
		"service with a blank":       func(r *grant.Request) { r.Services = []string{"recon ssh"} },
		"unknown class":              func(r *grant.Request) { r.Class = "root" },
		"unknown channel":            func(r *grant.Request) { r.Channels = []session.Channel{"x11"} },
		"channel twice":              func(r *grant.Request) { r.Channels = []session.Channel{"shell", "shell"} },
		"channels not sorted":        func(r *grant.Request) { r.Channels = []session.Channel{"shell", "exec"} },
		"negative nbf":               func(r *grant.Request) { r.NBF = -1 },
		"exp equal to nbf":           func(r *grant.Request) { r.EXP = r.NBF },
		"exp in the year 10000":      func(r *grant.Request) { r.EXP = 253402300800 },
		"maxs zero":                  func(r *grant.Request) { r.MaxS = 0 },
		"maxs negative":              func(r *grant.Request) { r.MaxS = -1 },
		"maxs beyond any duration":   func(r *grant.Request) { r.MaxS = 1 << 31 },
		"no issuer":                  func(r *grant.Request) { r.Eng.Iss = "" },
		"no subject":                 func(r *grant.Request) { r.Eng.Sub = "" },
		"subject with a NUL":         func(r *grant.Request) { r.Eng.Sub = "e\x00va" },
		"subject of 256 bytes":       func(r *grant.Request) { r.Eng.Sub = strings.Repeat("e", 256) },
		"key with a comment":         func(r *grant.Request) { r.Key += " eva@laptop" },
		"key with options":           func(r *grant.Request) { r.Key = `command="x" ` + r.Key },
		"key with a line feed":       func(r *grant.Request) { r.Key += "\n" },
		"two keys":                   func(r *grant.Request) { r.Key += "\n" + keyLine(9) },
		"key with two blanks":        func(r *grant.Request) { r.Key = strings.Replace(r.Key, " ", "  ", 1) },
		"RSA key":                    func(r *grant.Request) { r.Key = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==" },
		"key anybody can sign for":   func(r *grant.Request) { r.Key = session.KeyLine(make([]byte, 32)) },
		"certificate":                func(r *grant.Request) { r.Key = "ssh-ed25519-cert-v01@openssh.com AAAA" },
		"P-256 key not on the curve": func(r *grant.Request) { r.Key = offCurve() },
		"P-256 key cut short":        func(r *grant.Request) { r.Key = "ecdsa-sha2-nistp256 AAAA" },
		"reason of 1001 bytes":       func(r *grant.Request) { r.Reason = strings.Repeat("x", 1001) },
		"reason with a line feed":    func(r *grant.Request) { r.Reason = "a\nb" },
		"reason with an escape":      func(r *grant.Request) { r.Reason = "\x1b[2J" },
		"reason with a C1 control":   func(r *grant.Request) { r.Reason = "a\u009bb" },
		"reason read backwards":      func(r *grant.Request) { r.Reason = "a\u202eb" },
		"reason isolated":            func(r *grant.Request) { r.Reason = "a\u2066b" },
		"reason with a separator":    func(r *grant.Request) { r.Reason = "a\u2028b" },
		"reason with hidden tags":    func(r *grant.Request) { r.Reason = "a\U000e0041b" },
		"reason not UTF-8":           func(r *grant.Request) { r.Reason = "a\xffb" },
		"ref of 65 bytes":            func(r *grant.Request) { r.Ref = strings.Repeat("x", 65) },
		"ref with a tab":             func(r *grant.Request) { r.Ref = "a\tb" },
	}
	for name, spoil := range rows {
		t.Run(name, func(t *testing.T) {
			r, err := grant.ParseRequest([]byte(requestGolden))
			if err != nil {
				t.Fatal(err)
			}
			spoil(&r)
			_, err = r.Marshal()
			refusedAs(t, err, session.Invalid)
			_, err = grant.ParseRequest(loose(r))
			refusedAs(t, err, session.Invalid)
		})
	}
	for name, spoil := range map[string]func(*grant.Grant){
		"gid":                 func(g *grant.Grant) { g.GID = "x" },
		"request in capitals": func(g *grant.Grant) { g.Req = strings.ToUpper(g.Req) },
		"request cut short":   func(g *grant.Grant) { g.Req = g.Req[:62] },
		"agent without hash":  func(g *grant.Grant) { g.Agent = "ngh-agent" },
		"agent padded":        func(g *grant.Grant) { g.Agent += "=" },
		"no obligations":      func(g *grant.Grant) { g.Obl = nil },
		"record left out":     func(g *grant.Grant) { g.Obl = []string{"consent"} },
		"unknown obligation":  func(g *grant.Grant) { g.Obl = []string{"forget", "record"} },
		"obligations mixed":   func(g *grant.Grant) { g.Obl = []string{"record", "consent"} },
		"record twice":        func(g *grant.Grant) { g.Obl = []string{"record", "record"} },
		"typ":                 func(g *grant.Grant) { g.Typ = "sallyport-request" },
		"version":             func(g *grant.Grant) { g.V = 0 },
		"window":              func(g *grant.Grant) { g.EXP = g.NBF - 1 },
	} {
		t.Run("grant "+name, func(t *testing.T) {
			g, err := grant.ParseGrant([]byte(grantGolden))
			if err != nil {
				t.Fatal(err)
			}
			spoil(&g)
			_, err = g.Marshal()
			refusedAs(t, err, session.Invalid)
			_, err = grant.ParseGrant(loose(g))
			refusedAs(t, err, session.Invalid)
		})
	}
}

func TestFieldsThatAreAllowed(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	line, err := session.KeyLineEC(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))); line != want {
		t.Errorf("P-256 line %q, OpenSSH writes %q", line, want)
	}
	for name, change := range map[string]func(*grant.Request){
		"P-256 key":        func(r *grant.Request) { r.Key = line },
		"no key":           func(r *grant.Request) { r.Key = "" },
		"no reason":        func(r *grant.Request) { r.Reason, r.Ref = "", "" },
		"any script":       func(r *grant.Request) { r.Reason = "Röhre überschlägt — 管球 放電 🩻" },
		"1000 bytes":       func(r *grant.Request) { r.Reason = strings.Repeat("\\", 1000) },
		"no channels":      func(r *grant.Request) { r.Channels = []session.Channel{} },
		"an extension":     func(r *grant.Request) { r.Kind, r.Parent = "extension", session.NewID().Text() },
		"all the channels": func(r *grant.Request) { r.Channels = session.Channels() },
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := grant.ParseRequest([]byte(requestGolden))
			change(&r)
			doc := marshal(t, r)
			if again, err := grant.ParseRequest(doc); err != nil || !bytes.Equal(marshal(t, again), doc) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := session.KeyLineEC(nil); err == nil {
		t.Error("a line for no key")
	}
}

// Whoever changes one byte of a document changes its hash, or is refused.
func TestEveryFlippedByteShows(t *testing.T) {
	doc := []byte(requestGolden)
	original := grant.RequestHash(doc)
	for i := range doc {
		for bit := range 8 {
			changed := bytes.Clone(doc)
			changed[i] ^= 1 << bit
			r, err := grant.ParseRequest(changed)
			if err != nil {
				continue
			}
			if grant.RequestHash(changed) == original {
				t.Fatalf("byte %d bit %d: same hash", i, bit)
			}
			if again, err := r.Marshal(); err != nil || !bytes.Equal(again, changed) {
				t.Fatalf("byte %d bit %d: parsed, but not to itself", i, bit)
			}
		}
	}
}

func TestMutationsAreRefusedOrShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := []byte(rapid.SampledFrom([]string{requestGolden, grantGolden}).Draw(t, "doc"))
		changed := bytes.Clone(doc)
		for range rapid.IntRange(1, 4).Draw(t, "edits") {
			at := rapid.IntRange(0, len(changed)-1).Draw(t, "at")
			insert := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "insert")
			drop := min(rapid.IntRange(0, 3).Draw(t, "drop"), len(changed)-at)
			changed = append(append(bytes.Clone(changed[:at]), insert...), changed[at+drop:]...)
			if len(changed) == 0 {
				return
			}
		}
		if bytes.Equal(changed, doc) {
			return
		}
		if r, err := grant.ParseRequest(changed); err == nil {
			if again, err := r.Marshal(); err != nil || !bytes.Equal(again, changed) || grant.RequestHash(changed) == grant.RequestHash(doc) {
				t.Fatalf("%q", changed)
			}
		}
		if g, err := grant.ParseGrant(changed); err == nil {
			if again, err := g.Marshal(); err != nil || !bytes.Equal(again, changed) || grant.GrantHash(changed) == grant.GrantHash(doc) {
				t.Fatalf("%q", changed)
			}
		}
	})
}

func TestWhatMarshalWritesParseReads(t *testing.T) {
	text := rapid.StringN(0, 60, 250)
	rapid.Check(t, func(t *rapid.T) {
		r, _ := grant.ParseRequest([]byte(requestGolden))
		r.RID = session.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "rid")).Text()
		r.Reason, r.Ref = text.Draw(t, "reason"), text.Draw(t, "ref")
		r.Eng.Sub = text.Draw(t, "sub")
		r.Class = rapid.SampledFrom(session.Classes()).Draw(t, "class")
		r.NBF, r.EXP = rapid.Int64().Draw(t, "nbf"), rapid.Int64().Draw(t, "exp")
		doc, err := r.Marshal()
		if err != nil {
			if _, err := grant.ParseRequest(loose(r)); err == nil {
				t.Fatal("Parse takes what Marshal refuses")
			}
			return
		}
		again, err := grant.ParseRequest(doc)
		if err != nil {
			t.Fatalf("Parse refuses what Marshal wrote: %v", err)
		}
		if fmt.Sprint(again) != fmt.Sprint(r) {
			t.Fatalf("%v became %v", r, again)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(requestGolden))
	f.Add([]byte(grantGolden))
	f.Add([]byte(strings.Replace(requestGolden, "ssh-ed25519", "ecdsa-sha2-nistp256", 1)))
	f.Add([]byte(strings.Replace(requestGolden, `"v":1`, `"v":1,"v":1`, 1)))
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := grant.ParseRequest(doc)
		if err != nil {
			return
		}
		if again, err := r.Marshal(); err != nil || !bytes.Equal(again, doc) {
			t.Fatalf("%q became %q, %v", doc, again, err)
		}
	})
}

func FuzzParseGrant(f *testing.F) {
	f.Add([]byte(grantGolden))
	f.Add([]byte(requestGolden))
	f.Add([]byte(strings.Replace(grantGolden, `"record"`, `"consent","record"`, 1)))
	f.Fuzz(func(t *testing.T, doc []byte) {
		g, err := grant.ParseGrant(doc)
		if err != nil {
			return
		}
		if again, err := g.Marshal(); err != nil || !bytes.Equal(again, doc) {
			t.Fatalf("%q became %q, %v", doc, again, err)
		}
	})
}

// offCurve is a well-formed line whose point lies beside the curve.
func offCurve() string {
	wire := "\x00\x00\x00\x13ecdsa-sha2-nistp256\x00\x00\x00\x08nistp256\x00\x00\x00\x41\x04" + strings.Repeat("\x01", 64)
	return "ecdsa-sha2-nistp256 " + base64.StdEncoding.EncodeToString([]byte(wire))
}

func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("s%02d", i))
	}
	return out
}

// wrongHash is a well-formed hash of nothing that anybody asked for.
func wrongHash() string {
	sum := sha256.Sum256([]byte("another request"))
	return hex.EncodeToString(sum[:])
}
