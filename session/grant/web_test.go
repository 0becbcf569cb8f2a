package grant_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

var updateVectors = flag.Bool("update", false, "write testdata/web*.json")

// vectors are what the web application's own implementation of documents, nonces,
// key lines and ids is held against, in broker/web/e2e/unit.
type vectors struct {
	Requests []requestVector  `json:"requests"`
	Grants   []grantVector    `json:"grants"`
	Keys     []keyVector      `json:"keys"`
	IDs      []idVector       `json:"ids"`
	Good     []string         `json:"good"`    // reasons that are taken
	Refused  []string         `json:"refused"` // reasons that are refused
	Unfit    []map[string]any `json:"unfit"`   // changes to the first request that are refused
}

type requestVector struct {
	Document grant.Request `json:"document"`
	Bytes    string        `json:"bytes"`
	Hash     string        `json:"hash"`
	Salt     []byte        `json:"salt"`
	Nonce    string        `json:"nonce"`
}

type grantVector struct {
	Document grant.Grant `json:"document"`
	Bytes    string      `json:"bytes"`
	Hash     string      `json:"hash"`
	Salt     []byte      `json:"salt"`
	Token    string      `json:"token"`
	Approve  string      `json:"approve"`
	Key      string      `json:"key"`
	Activate string      `json:"activate"`
}

type keyVector struct {
	Point []byte `json:"point"`
	Line  string `json:"line"`
}

type idVector struct {
	Text    string `json:"text"`
	Request string `json:"request"`
}

func saltOf(n byte) (salt [32]byte) {
	for i := range salt {
		salt[i] = n + byte(i)*7
	}
	return salt
}

func webKeys(t *testing.T) []keyVector {
	t.Helper()
	var out []keyVector
	for _, scalar := range []byte{1, 2, 3} {
		d := make([]byte, 32)
		d[31] = scalar
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
		if err != nil {
			t.Fatal(err)
		}
		point, err := k.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		line, err := session.KeyLineEC(&k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, keyVector{point, line})
	}
	return out
}

func webRequests(t *testing.T, key string) []requestVector {
	t.Helper()
	now, err := grant.ParseRequest([]byte(requestGolden))
	if err != nil {
		t.Fatal(err)
	}
	now.Key = key
	ahead := now
	ahead.Key, ahead.Channels, ahead.Services = "", session.Channels(), []string{"Recon-2", "console-vnc", "recon-ssh"}
	ahead.Reason, ahead.Ref, ahead.Class = `Röhre "B" \ <tube> & 冷却 ✓ 🩻 / é`, "", session.Disruptive
	longer := now
	longer.Kind, longer.Parent, longer.Key = grant.KindExtension, ids()[1].Text, ""
	longer.Reason = strings.Repeat("ü", 500)
	flashing := ahead
	flashing.Crit = 900
	var out []requestVector
	for i, r := range []grant.Request{now, ahead, longer, flashing} {
		doc, salt := marshal(t, r), saltOf(byte(i))
		sum := grant.RequestHash(doc)
		out = append(out, requestVector{r, string(doc), hex.EncodeToString(sum[:]), salt[:], grant.RequestNonce(doc, salt)})
	}
	return out
}

func webGrants(t *testing.T, key string) []grantVector {
	t.Helper()
	plain, err := grant.ParseGrant([]byte(grantGolden))
	if err != nil {
		t.Fatal(err)
	}
	bound := plain
	bound.Obl, bound.Channels = []string{grant.Consent, grant.Record, grant.ViewOnly}, []session.Channel{}
	flashing := plain
	flashing.Class, flashing.Crit = session.Disruptive, 900
	var out []grantVector
	for i, g := range []grant.Grant{plain, bound, flashing} {
		doc, salt, token := marshal(t, g), saltOf(byte(100+i)), "e30.e30.c2ln"
		sum := grant.GrantHash(doc)
		out = append(out, grantVector{g, string(doc), hex.EncodeToString(sum[:]), salt[:], token,
			grant.ApproveNonce(doc, token, salt), key, grant.ActivateNonce(doc, key, salt)})
	}
	return out
}

func ids() []idVector {
	var out []idVector
	for _, id := range []session.ID{{15: 1}, {0xff, 0xee, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, {0x80}} {
		out = append(out, idVector{id.Text(), id.Request()})
	}
	return out
}

func TestVectorsForTheWebApplication(t *testing.T) {
	keys := webKeys(t)
	all := vectors{
		Requests: webRequests(t, keys[0].Line), Grants: webGrants(t, keys[1].Line), Keys: keys, IDs: ids(),
		Good: []string{"plain", "<b>&amp;</b>", `quotes " and \ and /`, "naïve 冷却 🩻", strings.Repeat("x", 1000)},
		Refused: []string{"two\nlines", "a\ttab", "\x00", "esc \x1b[2J", "del \x7f", "\u0085", "\u2028", "\u2029", "\u061c", "\u200e",
			"\u202e gnp.exe", "\u2066", "\ufeff", "\U000e0041", strings.Repeat("x", 1001), strings.Repeat("ü", 501)},
		Unfit: []map[string]any{{"rid": ""}, {"rid": "AAAAAAAAAAAAAAAAAAAAAA"}, {"rid": "AAECAwQFBgcICQoLDA0ODx"}, {"kind": "handover-of"},
			{"parent": "AAECAwQFBgcICQoLDA0ODw"}, {"site": ""}, {"asset": "-x"}, {"asset": "x y"}, {"services": []string{}},
			{"class": "gentle"}, {"channels": []string{"telepathy"}}, {"nbf": -1}, {"exp": 1}, {"maxs": 0}, {"maxs": 1 << 31},
			{"eng": map[string]string{"iss": "", "sub": "x"}}, {"key": "ssh-rsa AAAA"}, {"ref": strings.Repeat("x", 65)}},
	}
	first := all.Requests[0].Document
	for _, text := range all.Good {
		r := first
		r.Reason = text
		marshal(t, r)
	}
	for _, text := range all.Refused {
		r := first
		r.Reason = text
		if _, err := r.Marshal(); err == nil {
			t.Errorf("the reason %q is taken", text)
		}
	}
	for _, change := range all.Unfit {
		if _, err := changed(t, first, change).Marshal(); err == nil {
			t.Errorf("a request with %v is taken", change)
		}
	}
	holdVectors(t, "web.json", all)
}

// changed is a copy of a document with some fields as the JSON names them.
func changed[T any](t *testing.T, doc T, change map[string]any) T {
	t.Helper()
	var out T
	for _, from := range []any{doc, change} {
		b, err := json.Marshal(from)
		if err == nil {
			err = json.Unmarshal(b, &out)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// holdVectors compares a file of testdata with what this code makes.
func holdVectors(t *testing.T, file string, all any) {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", " ")
	if err := e.Encode(all); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("testdata", file)
	if *updateVectors {
		if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(have, out.Bytes()) {
		t.Fatalf("%s is not what this code makes (%v); after a look, run go test ./session/grant -update", name, err)
	}
}
