package agent

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/agent/doctor"
	"github.com/sallyport/sallyport/session"
)

func TestConsentIsConfigured(t *testing.T) {
	for text, want := range map[string]session.Consent{"": session.ConsentNone, "consent: none": session.ConsentNone, "consent: operator": session.ConsentOperator,
		"consent: code": session.ConsentCode, "consent: Operator": "", "consent: yes": "", "consent: [code]": ""} {
		var a Asset
		err := yaml.NewDecoder(strings.NewReader("name: CT\n"+text), yaml.Strict(), yaml.DisallowUnknownField()).Decode(&a)
		v := &checker{}
		v.consent("$", a)
		if good := err == nil && len(v.errs) == 0; good != (want != "") || good && (&Config{Assets: []Asset{a}}).consent("CT") != want {
			t.Errorf("%q: %v, %v", text, err, v.errs)
		}
	}
	if (&Config{}).consent("CT") != session.ConsentNone {
		t.Error("an unknown asset asks")
	}
}

func TestTheDoctorSaysWhereConsentIsGiven(t *testing.T) {
	cfg := Config{Assets: []Asset{{Name: "CT", Consent: session.ConsentCode}, {Name: "MR"}}}
	if all := consentChecks(cfg); len(all) != 1 || all[0].Result != doctor.Warn || !strings.Contains(all[0].Says, "sallyport-agent consent") {
		t.Errorf("%+v", all)
	}
	cfg.Console.Listen = "10.0.0.1:443"
	if all := consentChecks(cfg); len(all) != 1 || all[0].Result != doctor.Warn || !strings.Contains(all[0].Says, "PIN") {
		t.Errorf("%+v", all)
	}
	if all := consentChecks(Config{Assets: []Asset{{Name: "MR"}}}); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
