package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// How many sessions may be live at a time is the hospital's to say; silence is a limit too.
func TestLimitsOfSessions(t *testing.T) {
	assets := map[string]session.Asset{"PETCT1": {Policy: session.Policy{Sessions: 2}}}
	silent := (&Config{}).limits(assets)
	if silent.Engineer != 3 || silent.Site != 20 || silent.Asset("PETCT1") != 2 || silent.Asset("MR2") != 0 {
		t.Errorf("silence allows %+v", silent)
	}
	said := (&Config{Sessions: Sessions{Engineer: 1, Together: 7}}).limits(assets)
	if said.Engineer != 1 || said.Site != 7 {
		t.Errorf("1 and 7 are %+v", said)
	}
	for path, wrong := range map[string]Sessions{"$.sessions.engineer": {Engineer: -1}, "$.sessions.together": {Together: -1}} {
		if err := (&Config{Sessions: wrong}).Validate(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// What a policy says of quorum, idleness, sessions and zone is checked where it stands.
func TestPolicyFields(t *testing.T) {
	two := []session.Quorum{{Group: "it", Count: 1}, {Group: "modality", Count: 1}}
	rows := []struct {
		policy Policy
		path   string // "" is good
	}{
		{Policy{Quorum: two, Idle: "15m", Sessions: 2, Zone: "Europe/Berlin"}, ""},
		{Policy{Quorum: two, Approvals: 2}, ""},
		{Policy{Quorum: two, Approvals: 1}, "p.approvals"},
		{Policy{Quorum: []session.Quorum{{Group: "", Count: 1}}}, "p.quorum[0].group"},
		{Policy{Quorum: []session.Quorum{{Group: "it", Count: 1}, {Group: "it", Count: 1}}}, "p.quorum[1].group"},
		{Policy{Quorum: []session.Quorum{{Group: "it", Count: 0}}}, "p.quorum[0].count"},
		{Policy{Quorum: []session.Quorum{{Group: "it", Count: 5}, {Group: "modality", Count: 4}}}, "p.quorum"},
		{Policy{Idle: "soon"}, "p.idle"},
		{Policy{Idle: "-1m"}, "p.idle"},
		{Policy{Sessions: -1}, "p.sessions"},
		{Policy{Zone: "Mars/Olympus"}, "p.zone"},
		{Policy{Zone: "Local"}, "p.zone"},
	}
	for _, row := range rows {
		v := &checker{}
		v.policy("p", row.policy)
		err := errors.Join(v.errs...)
		if row.path == "" && err != nil || row.path != "" && (err == nil || !strings.HasPrefix(err.Error(), row.path+":")) {
			t.Errorf("%+v: %v, want %q", row.policy, err, row.path)
		}
	}
	r := rows[0].policy.rules()
	if r.Approvals != 2 || len(r.Quorum) != 2 || r.Idle != 15*time.Minute || r.Sessions != 2 || r.Zone != "Europe/Berlin" {
		t.Errorf("%+v", r)
	}
	if r := (Policy{}).rules(); r.Approvals != 1 || r.Idle != 0 || r.Sessions != 0 {
		t.Errorf("defaults %+v", r)
	}
}
