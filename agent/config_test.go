package agent

import (
	"errors"
	"slices"
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
	of := func(p Policy) session.Policy { return withPolicy(p).Public().Policy }
	r := of(rows[0].policy)
	if r.Approvals != 2 || len(r.Quorum) != 2 || r.Idle != 15*time.Minute || r.Sessions != 2 || r.Zone != "Europe/Berlin" {
		t.Errorf("%+v", r)
	}
	r = of(Policy{})
	if r.Approvals != 1 || r.Idle != 0 || r.Sessions != 0 || r.Longest != 8*time.Hour || r.Window != 24*time.Hour ||
		!slices.Equal(r.Channels, []session.Channel{session.Exec, session.Shell}) ||
		!slices.Equal(r.Accept.Engineer, []session.ClientClass{session.CLI}) || !slices.Equal(r.Accept.Approver, []session.ClientClass{session.Console}) {
		t.Errorf("defaults %+v", r)
	}
}

func withPolicy(p Policy) Asset {
	return Asset{Name: "CT", Policy: p, Endpoints: []Endpoint{{Name: "recon", Address: "10.0.0.5", Services: []Service{
		{Name: "recon-ssh", Protocol: session.SSH, Port: 22, Class: session.Observe}}}}}
}

// A policy allows what the asset's services have, and nothing besides.
func TestChannelsFitTheProtocols(t *testing.T) {
	for want, list := range map[string][]session.Channel{
		"":               session.SSH.Channels(),
		`"clipboard-in"`: {session.Shell, session.ClipboardIn},
		`"control"`:      {session.Control},
		`"telepathy"`:    {"telepathy"},
	} {
		v := &checker{}
		v.channels("p", withPolicy(Policy{Channels: list}))
		err := errors.Join(v.errs...)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "no service of this asset has the channel "+want+"; they have [exec files-in files-out shell]")) {
			t.Errorf("%v: %v", list, err)
		}
	}
}
