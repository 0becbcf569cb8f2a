//go:build unix

package brokercmd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// report is what check says as JSON.
type report struct {
	Usable   bool
	Problems []struct{ Message, Next string }
	Notes    []string
}

// check runs check as root and reads its report.
func (x *installed) check(want bool) report {
	x.t.Helper()
	out, err := x.command(0, "--json", "check").Output()
	var r report
	if json.Unmarshal(out, &r) != nil || r.Usable != want || (err == nil) != want {
		x.t.Fatalf("check says %s, %v", out, err)
	}
	for _, p := range r.Problems {
		if p.Message == "" || p.Next == "" {
			x.t.Errorf("no way out is said: %+v", p)
		}
	}
	return r
}

func (r report) has(words string) bool {
	for _, p := range r.Problems {
		if strings.Contains(p.Message+" "+p.Next, words) {
			return true
		}
	}
	return false
}

// change edits the configuration.
func (x *installed) change(old, by string) {
	x.t.Helper()
	text, err := os.ReadFile(x.config)
	if err != nil || !strings.Contains(string(text), old) {
		x.t.Fatalf("%q is not in the configuration, %v", old, err)
	}
	if err := os.WriteFile(x.config, []byte(strings.Replace(string(text), old, by, 1)), 0o644); err != nil {
		x.t.Fatal(err)
	}
}

// certify writes a certificate for a name and its key, which the service may read.
func (x *installed) certify(name string, until time.Duration) (cert, key string) {
	x.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		x.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(until)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		x.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		x.t.Fatal(err)
	}
	cert, key = filepath.Join(filepath.Dir(x.config), "tls.crt"), filepath.Join(filepath.Dir(x.config), "tls.key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			x.t.Fatal(err)
		}
		if err := os.Chown(file, int(x.user), int(x.user)); err != nil && os.Geteuid() == 0 {
			x.t.Fatal(err)
		}
	}
	return cert, key
}

func TestCheckSaysAllThatIsMissingAtOnce(t *testing.T) {
	x := install(t)
	x.check(true)
	mine, err := os.ReadFile(x.config)
	if err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(filepath.Dir(x.config), "gone")
	x.change("node: broker-1", "node: broker-1\ntls: {certificate: "+gone+".crt, key: /run/credentials/sallyport-broker.service/tls.key}\nvault: "+gone+"/deep/vault\n"+
		"notify: {from: a@example.org, smtp: {host: mail.example.org, user: u, password: \"file:"+gone+"\"}, approvers: {}}")
	x.change("ephemeral: true", "user: sallyport, password: \"file:"+gone+"\"")
	r := x.check(false)
	for _, words := range []string{gone + ".crt cannot be read", "only while the unit runs", "The vault " + gone + "/deep/vault does not exist", "The mail server's password cannot be read", "The store's password cannot be read"} {
		if !r.has(words) {
			t.Errorf("%q is not said: %+v", words, r.Problems)
		}
	}
	if len(r.Problems) != 5 {
		t.Errorf("%d problems: %+v", len(r.Problems), r.Problems)
	}
	if err := os.WriteFile(x.config, mine, 0o644); err != nil {
		t.Fatal(err)
	}
	x.check(true)
}

func TestCheckLooksAtTheCertificate(t *testing.T) {
	x := install(t)
	cert, key := x.certify("127.0.0.1", time.Hour) // a name is no address
	x.change("node: broker-1", "node: broker-1\ntls: {certificate: "+cert+", key: "+key+"}")
	if r := x.check(false); len(r.Problems) != 1 || !r.has("not for 127.0.0.1") {
		t.Errorf("another name: %+v", r)
	}
	x.change("url: http://127.0.0.1:8443", "url: https://broker.example.org")
	x.certify("broker.example.org", time.Hour)
	if r := x.check(true); !strings.Contains(strings.Join(r.Notes, "\n"), "expires at") {
		t.Errorf("a certificate that ends soon: %+v", r)
	}
	x.certify("broker.example.org", -time.Hour)
	if r := x.check(false); len(r.Problems) != 1 || !r.has("expired at") {
		t.Errorf("an old certificate: %+v", r)
	}
	old, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	x.certify("broker.example.org", time.Hour)
	if err := os.WriteFile(key, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := x.check(false); len(r.Problems) != 1 || !r.has("cannot be used together") {
		t.Errorf("another key: %+v", r)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(key, 0, 0); err != nil {
			t.Fatal(err)
		}
		if r := x.check(false); len(r.Problems) != 1 || !r.has("key "+key+" cannot be read") {
			t.Errorf("root's key: %+v", r)
		}
	}
}

func TestCheckFindsWhatAnotherUserLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this is about two users: run the tests as root, as CI does")
	}
	x := install(t)
	if err := os.WriteFile(filepath.Join(x.state, "log.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := x.check(false); !r.has("chown -R") {
		t.Errorf("root's file: %+v", r)
	}
}
