//go:build unix

package brokercmd

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/config"
	"github.com/sallyport/sallyport/cmd/internal/setup"
)

// northfield is what the sample's people answer.
func northfield() setup.Answers {
	return setup.Answers{
		"url": "https://sallyport.meridian.example", "site": "NGH",
		"vendor_issuer": "https://idp.meridian.example", "vendor_domain": "meridian.example",
		"hospital_issuer": "https://login.northfield.example", "hospital_domain": "northfield.example",
		"mail_host": "mail.meridian.example", "mail_from": "Sallyport <sallyport@meridian.example>", "mail_user": "sallyport", "mail_to": "scanner-approvers@northfield.example",
	}
}

func rendered(t *testing.T, a setup.Answers) []byte {
	t.Helper()
	so, err := setup.Given(questions(), a)
	if err != nil {
		t.Fatal(err)
	}
	text, err := setup.Render(configuration, so)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Setup teaches what the sample teaches: with its answers it writes the sample.
func TestSetupWritesTheSample(t *testing.T) {
	sample, err := os.ReadFile("../../../deploy/broker.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := rendered(t, northfield()); string(got) != string(sample) {
		t.Errorf("setup writes:\n%s", got)
	}
}

func TestEveryProductMakesAConfiguration(t *testing.T) {
	for _, product := range setup.Products() {
		a := northfield()
		delete(a, "mail_host")
		delete(a, "mail_user")
		a["vendor_product"], a["hospital_product"] = product, product
		if product == "entra" {
			a["vendor_issuer"] = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"
			a["hospital_issuer"] = "https://login.microsoftonline.com/66666666-2222-3333-4444-555555555555/v2.0"
		}
		var cfg broker.Config
		if err := config.Parse(product, rendered(t, a), &cfg); err != nil || len(cfg.Issuers) != 2 || cfg.Notify != nil {
			t.Errorf("%s: %v, %+v", product, err, cfg)
		}
		a["inside"] = "yes"
		var inside broker.Config
		if err := config.Parse(product, rendered(t, a), &inside); err != nil || inside.Issuers[1].Reach != "agent" {
			t.Errorf("%s inside the hospital: %v, %+v", product, err, inside.Issuers)
		}
		if product == "entra" && cfg.Issuers[0].Tenant != "11111111-2222-3333-4444-555555555555" {
			t.Errorf("the tenant is %q", cfg.Issuers[0].Tenant)
		}
	}
}

// Root answers, the service serves on what was written.
func TestSetupOnANewMachine(t *testing.T) {
	x := install(t)
	cert, key := x.certify("broker.example.org", time.Hour)
	word := filepath.Join(x.state, "redis")
	if err := os.WriteFile(word, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(word, int(x.user), int(x.user)); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	store := miniredis.RunT(t)
	store.RequireUserAuth("sallyport", "open sesame")
	a := northfield()
	maps.DeleteFunc(a, func(key, _ string) bool { return strings.HasPrefix(key, "mail_") })
	maps.Copy(a, setup.Answers{"url": "https://broker.example.org", "state": x.state, "vault": x.state + "/vault", "certificate": cert, "key": key, "listen": free(t), "ssh_listen": free(t),
		"redis": "redis://" + store.Addr() + "/0", "redis_password": "file:" + word})
	answers := filepath.Join(filepath.Dir(x.config), "answers.yaml")
	text, err := json.Marshal(a) // which is YAML
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(answers, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := x.command(0, "setup", "--answers", answers).CombinedOutput(); err == nil || !strings.Contains(string(out), "never writes over one") {
		t.Errorf("over a configuration: %v, %s", err, out)
	}
	if err := os.Remove(x.config); err != nil {
		t.Fatal(err)
	}
	// The store forgets, and the page's would not: it is said, and the rest is right.
	out, err := x.command(0, "setup", "--answers", answers).CombinedOutput()
	if err == nil || strings.Count(string(out), "missing:") != 1 {
		t.Errorf("%v: %s", err, out)
	}
	for _, want := range []string{"https://broker.example.org/auth/callback/", "sallyport-web", "http://127.0.0.1/cb", "scopes openid email profile", "tcp 2222", "join-token --site NGH --agent ngh-1", "broker broker.example.org:443"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not said:\n%s", want, out)
		}
	}
	x.change("ephemeral: false", "ephemeral: true")
	x.check(true)
	x.serve()
	x.owned()
}
