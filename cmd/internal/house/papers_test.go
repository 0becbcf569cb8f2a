package house

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/session"
)

// The README's table of the layout names every package there is, and everything at the top.
func TestReadmeNamesEveryRoom(t *testing.T) {
	tr := ours(t)
	_, layout, found := strings.Cut(string(tr.texts["README.md"]), "\n## Layout\n")
	if !found {
		t.Fatal("README.md has no section called Layout")
	}
	for _, name := range unnamed(layout, append(tr.packages(), tr.top...)) {
		t.Errorf("%s exists, and the layout table of README.md does not name it", name)
	}
	for _, name := range unnamed("| `broker` | x |\n| `session/grant`, `session/link` | y |", []string{"broker", "broker/api", "session/link", "session"}) {
		if name != "broker/api" && name != "session" {
			t.Errorf("%s is named", name)
		}
	}
}

// unnamed are the names that do not stand in backquotes in the rows of a table.
func unnamed(table string, names []string) []string {
	var out []string
	for _, n := range names {
		if !strings.Contains(table, "`"+n+"`") {
			out = append(out, n)
		}
	}
	return out
}

// Links of our papers lead to files that exist.
func TestLinksLeadSomewhere(t *testing.T) {
	tr := ours(t)
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for name, text := range tr.texts {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root(t), filepath.FromSlash(path.Join(path.Dir(name), m[1])))); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)

// loose finds what a workflow leaves open: actions that are not pinned by commit,
// permissions that are not named, credentials that stay in the checkout.
func loose(name string, text []byte) ([]finding, error) {
	type step struct {
		Uses string         `yaml:"uses"`
		With map[string]any `yaml:"with"`
	}
	var w struct {
		Permissions map[string]string `yaml:"permissions"`
		Jobs        map[string]struct {
			Uses        string            `yaml:"uses"`
			Permissions map[string]string `yaml:"permissions"`
			Timeout     int               `yaml:"timeout-minutes"`
			Steps       []step            `yaml:"steps"`
		} `yaml:"jobs"`
	}
	if err := yaml.Unmarshal(text, &w); err != nil {
		return nil, err
	}
	var out []finding
	if len(w.Permissions) == 0 {
		out = append(out, finding{name, "names no permissions", "a workflow gets what it names and no more"})
	}
	for job, j := range w.Jobs {
		for scope, right := range w.Permissions {
			if right == "write" {
				out = append(out, finding{name, scope + ": write for all jobs", "rights belong to the job that needs them"})
			}
		}
		if j.Timeout == 0 && j.Uses == "" {
			out = append(out, finding{name + " " + job, "has no timeout", "every wait has a named maximum"})
		}
		for _, s := range append(j.Steps, step{Uses: j.Uses}) {
			if s.Uses == "" {
				continue
			}
			if !pinned.MatchString(s.Uses) {
				out = append(out, finding{name + " " + job, "uses " + s.Uses, "a tag can be moved; a commit cannot"})
			}
			if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
				out = append(out, finding{name + " " + job, "keeps the credentials of its checkout", "persist-credentials: false"})
			}
		}
	}
	return out, nil
}

func TestWorkflowsArePinned(t *testing.T) {
	tr := ours(t)
	n := 0
	for name, text := range tr.texts {
		if !strings.HasPrefix(name, ".github/workflows/") {
			continue
		}
		n++
		found, err := loose(name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, f := range found {
			t.Error(f)
		}
	}
	if n == 0 {
		t.Error("no workflows")
	}
	const sha = "08c6903cd8c0fde910a37f88322edcfb5dd907a8"
	for text, want := range map[string]int{
		"permissions: {contents: read}\njobs: {a: {timeout-minutes: 1, steps: [{uses: x/y@" + sha + "}]}}":                                                  0,
		"permissions: {contents: read}\njobs: {a: {timeout-minutes: 1, steps: [{uses: x/y@v4}]}}":                                                           1,
		"permissions: {contents: read}\njobs: {a: {timeout-minutes: 1, steps: [{uses: x/y@" + sha[:39] + "}]}}":                                             1,
		"permissions: {contents: read}\njobs: {a: {timeout-minutes: 1, steps: [{uses: actions/checkout@" + sha + "}]}}":                                     1,
		"permissions: {contents: read}\njobs: {a: {timeout-minutes: 1, steps: [{uses: actions/checkout@" + sha + ", with: {persist-credentials: false}}]}}": 0,
		"permissions: {contents: read}\njobs: {a: {steps: [{run: x}]}}":                                                                                     1,
		"jobs: {a: {timeout-minutes: 1, steps: [{run: x}]}}":                                                                                                1,
		"permissions: {contents: write}\njobs: {a: {timeout-minutes: 1, steps: [{run: x}]}}":                                                                1,
		"permissions: {contents: read}\njobs: {a: {uses: x/y/.github/workflows/z.yml@main}}":                                                                1,
	} {
		if found, err := loose("x", []byte(text)); err != nil || len(found) != want {
			t.Errorf("%s: found %v, %v; want %d", text, found, err, want)
		}
	}
}

// The licence is the Apache License 2.0 in full.
func TestLicence(t *testing.T) {
	text := ours(t).texts["LICENSE"]
	for _, part := range []string{"Apache License", "Version 2.0, January 2004", "9. Accepting Warranty or Additional Liability.", "END OF TERMS AND CONDITIONS"} {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("LICENSE lacks %q", part)
		}
	}
}

// The units leave a service no more than it needs: systemd's own score, 10 is bare.
func TestUnitsAreTight(t *testing.T) {
	units, err := filepath.Glob(filepath.Join(root(t), "deploy", "systemd", "*.service"))
	if err != nil || len(units) != 2 {
		t.Fatalf("units %v, %v", units, err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		for _, bound := range []string{"\nMemoryMax=", "\nEnvironment=GOMEMLIMIT=", "\nLimitNOFILE=", "\nTasksMax="} {
			if !bytes.Contains(text, []byte(bound)) {
				t.Errorf("%s: no %s", filepath.Base(unit), bound[1:])
			}
		}
		out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "--json=short", "--threshold=15", unit).CombinedOutput()
		if err != nil {
			t.Errorf("%s: exposure above 1.5, or systemd-analyze is missing (.ci/peers installs it): %v\n%s", filepath.Base(unit), err, tail(out))
			continue
		}
		var rows []any
		if err := json.Unmarshal(out, &rows); err != nil || len(rows) < 50 {
			t.Errorf("%s: %d rows, %v", filepath.Base(unit), len(rows), err)
		}
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-1500):] }

// The sample configurations are complete, strict YAML with words that we know.
func TestSamples(t *testing.T) {
	dir := filepath.Join(root(t), "deploy")
	read := func(name string, into any) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalWithOptions(text, into, yaml.Strict()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var agent struct {
		Site, Agent, State, Socket string
		Nodes                      []struct{ Name, Address string }
		Issuers                    []session.Issuer
		Groups                     struct{ Engineer, Approver string }
		JWKSMaxStale               string `yaml:"jwks_max_stale"`
		KeepRecordings             string `yaml:"keep_recordings"`
		Sessions                   struct{ Engineer, Together int }
		Assets                     []struct {
			Name, Label, Modality string
			Policy                struct {
				Approvals       int
				Accept          session.Accept
				Longest, Window string
				Channels        []session.Channel
				Quorum          []session.Quorum
				Idle, Zone      string
				Sessions        int
			}
			Endpoints []struct {
				Name, Address string
				Services      []struct {
					Name     string
					Protocol session.Protocol
					Port     int
					Class    session.Class
					Login    map[string]string
					HostKey  string `yaml:"host_key"`

					Environment []string
				}
			}
		}
	}
	read("agent.example.yaml", &agent)
	for what, long := range map[string]string{"jwks_max_stale": agent.JWKSMaxStale, "keep_recordings": agent.KeepRecordings} {
		if d, err := time.ParseDuration(long); err != nil || d <= 0 {
			t.Errorf("%s: %v, %v", what, d, err)
		}
	}
	if s := agent.Sessions; s.Engineer != 3 || s.Together != 20 {
		t.Errorf("the sample says %+v; the defaults are 3 and 20", s)
	}
	checkIssuers(t, agent.Issuers)
	for _, a := range agent.Assets {
		if !session.ValidName(a.Name) || a.Policy.Approvals < 1 {
			t.Errorf("asset %+v", a)
		}
		for _, c := range a.Policy.Channels {
			if !c.Known() {
				t.Errorf("channel %s", c)
			}
		}
		for _, e := range a.Endpoints {
			for _, s := range e.Services {
				if !session.ValidName(s.Name) || s.Protocol != session.SSH || !s.Class.Known() || !strings.HasPrefix(s.HostKey, "SHA256:") {
					t.Errorf("service %+v", s)
				}
				for what, secret := range s.Login {
					if what != "user" && !strings.HasPrefix(secret, "file:") && !strings.HasPrefix(secret, "credential:") {
						t.Errorf("a %s stands in the sample itself", what)
					}
				}
			}
		}
	}
	var broker struct {
		Listen, Node, URL, State string
		TLS                      struct{ Certificate, Key string }
		SSH                      struct{ Listen, Address string }
		Redis                    struct {
			URL, User, Password string
			Ephemeral           bool
		}
		Vault  string
		Web    struct{ Idle, Absolute string }
		Notify struct {
			From string
			SMTP struct {
				Host, TLS, User, Password string
				Port                      int
			}
			Approvers map[string][]string
		}
		Issuers []struct {
			session.Issuer `yaml:",inline"`
			Sites          []string
		}
	}
	read("broker.example.yaml", &broker)
	if !strings.HasPrefix(broker.Notify.SMTP.Password, "credential:") {
		t.Error("the mail server's password stands in the sample itself")
	}
	if strings.HasSuffix(broker.URL, "/") || !strings.HasPrefix(broker.URL, "https://") {
		t.Errorf("url %s", broker.URL)
	}
	var issuers []session.Issuer
	for _, i := range broker.Issuers {
		issuers = append(issuers, i.Issuer)
	}
	checkIssuers(t, issuers)
	if !strings.HasPrefix(broker.Redis.Password, "file:") {
		t.Error("the store's password stands in the sample itself")
	}
	if broker.Redis.Ephemeral {
		t.Error("the sample forgets")
	}
	if n := agent.Nodes[0]; n.Name != broker.Node || !strings.HasPrefix(broker.URL, "https://"+strings.TrimSuffix(n.Address, ":443")) {
		t.Errorf("the agent's node %v is not the broker's %s at %s", n, broker.Node, broker.URL)
	}
}

func checkIssuers(t *testing.T, all []session.Issuer) {
	t.Helper()
	sides := map[session.Side]bool{}
	for _, i := range all {
		sides[i.Side] = true
		if !strings.HasPrefix(i.URL, "https://") || i.InsecureLoopback || len(i.Domains) == 0 || i.Login == "" {
			t.Errorf("issuer %+v", i)
		}
		for id, class := range i.Clients {
			if class != session.CLI && class != session.Console && class != session.Web {
				t.Errorf("client %s is of class %q", id, class)
			}
		}
		if i.Side == session.HospitalSide && i.Clients[i.Login] != "" {
			t.Errorf("the hospital's login client %s would approve", i.Login)
		}
	}
	if len(sides) != 2 {
		t.Errorf("issuers of sides %v, want both", sides)
	}
}

// peers runs .ci/peers on a machine that has only what is given.
func peers(t *testing.T, programs map[string]string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for _, tool := range []string{"sort", "tr", "tee", "chmod", "rm", "env"} {
		real, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/bin/bash", filepath.Join(root(t), ".ci", "peers"))
	cmd.Env = []string{"PATH=" + bin}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// What cannot be installed is named, and the run fails: a missing peer is never a skipped test.
func TestMissingPeersFail(t *testing.T) {
	for name, c := range map[string]struct {
		programs map[string]string
		want     string
	}{
		"not Debian": {map[string]string{"id": "echo 0"}, "not Debian"},
		"no rights":  {map[string]string{"id": "echo 1000", "apt-get": "exit 0"}, "neither root nor have sudo"},
		"no network": {map[string]string{"id": "echo 1000", "sudo": `[ "$2" != env ] || exit 100`, "apt-get": "exit 100"}, "apt-get could not install them"},
		"no effect":  {map[string]string{"id": "echo 1000", "sudo": "exit 0", "apt-get": "exit 0"}, "apt-get did not bring"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := peers(t, c.programs)
			if err == nil || !strings.Contains(out, c.want) || !strings.Contains(out, "curl") {
				t.Errorf("%v, said %q, want %q", err, out, c.want)
			}
		})
	}
}
