package agentcmd

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/agent"
	strict "github.com/sallyport/sallyport/cmd/internal/config"
	"github.com/sallyport/sallyport/cmd/internal/setup"
)

// northfield is what the sample's people answer.
func northfield() setup.Answers {
	return setup.Answers{
		"site": "NGH", "broker": "sallyport.meridian.example:443",
		"vendor_issuer": "https://idp.meridian.example", "vendor_domain": "meridian.example",
		"hospital_issuer": "https://login.northfield.example", "hospital_domain": "northfield.example",
		"scanner": "NGH-PETCT1", "label": "Helion 64", "modality": "PT/CT", "address": "10.40.12.12",
		"host_key": "SHA256:HCT2ojBDbZMmsuxIFGnJBRWgXCvQIdnmkwOqHabkVHA", "zone": "Europe/Berlin",
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
	sample, err := os.ReadFile("../../../deploy/agent.example.yaml")
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
		maps.Copy(a, setup.Answers{"vendor_product": product, "hospital_product": product, "proxy": "http://proxy.northfield.example:3128"})
		if product == "entra" {
			a["vendor_issuer"] = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"
			a["hospital_issuer"] = "https://login.microsoftonline.com/66666666-2222-3333-4444-555555555555/v2.0"
		}
		var cfg agent.Config
		if err := strict.Parse(product, rendered(t, a), &cfg); err != nil || len(cfg.Issuers) != 2 || cfg.Proxy.URL == "" || cfg.Proxy.User != "" {
			t.Errorf("%s: %v, %+v", product, err, cfg)
		}
		a["inside"] = "yes"
		var inside agent.Config
		if err := strict.Parse(product, rendered(t, a), &inside); err != nil || !inside.Issuers[1].Vouch || inside.Issuers[0].Vouch {
			t.Errorf("%s inside the hospital: %v, %+v", product, err, inside.Issuers)
		}
	}
	a := northfield()
	maps.Copy(a, setup.Answers{"proxy": "http://proxy.northfield.example:3128", "proxy_user": "svc", "site": "7", "scanner": "true"})
	var cfg agent.Config
	if err := strict.Parse("proxy", rendered(t, a), &cfg); err != nil || cfg.Proxy.User != "svc" || cfg.Proxy.Password.String() != "credential:proxy" || cfg.Site != "7" || cfg.Assets[0].Name != "true" {
		t.Errorf("%v, %+v", err, cfg)
	}
}

func TestSetupSaysWhatComesNext(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.yaml")
	args := []string{"setup", "--config", file, "--set", "state=" + dir + "/state", "--set", "vendor_reach=broker"}
	for key, v := range northfield() {
		args = append(args, "--set", key+"="+v)
	}
	var out, complaint bytes.Buffer
	if code := Main(args, &out, &complaint); code != exitUnfinished && code != 0 {
		t.Fatalf("%d: %s", code, complaint.String())
	}
	for _, want := range []string{"Written: " + file, "sallyport-console", "out  sallyport.meridian.example:443", "out  login.northfield.example:443", "out  10.40.12.12:22", "in   nothing",
		"LoadCredentialEncrypted=ngh-petct1-recon:", "enrol --token-file -", "site NGH, agent ngh-1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "idp.meridian.example:443") {
		t.Errorf("a way is asked for that nobody goes:\n%s", out.String())
	}
	var cfg agent.Config
	if err := strict.Load(file, &cfg); err != nil || cfg.State != dir+"/state" {
		t.Errorf("%v, %q", err, cfg.State)
	}
	if code := Main(args, &out, &complaint); code == 0 || !strings.Contains(complaint.String(), "never writes over one") {
		t.Errorf("over a configuration: %s", complaint.String())
	}
}

const exitUnfinished = 2 // something of the machine is missing
