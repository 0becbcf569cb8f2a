package agentcmd

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/cmd/internal/devidp"
)

// A person is walked through one sign-in, and told claim by claim what came.
func TestDoctorWalksThroughASignIn(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	issuer := "http://" + server.Listener.Addr().String()
	provider, err := devidp.New(devidp.Config{Issuer: issuer, Name: "Northfield", KeyFile: filepath.Join(dir, "key"), People: devidp.People(devidp.Hospital),
		Clients: []devidp.Client{{ID: "sallyport-console", Native: true}}})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = provider
	server.Start()
	for name, row := range map[string]struct {
		entry string
		says  []string
		good  bool
	}{
		"as it should be": {"", []string{"ok    claim sub: It names the person.", "claim groups and roles: The group scanner-approvers came", "ok    claim auth_time", "ok    token as a whole"}, true},
		"a wrong subject": {"\n  subject: oid\n  tenant: t1", []string{"fail  claim oid: It is missing", "fail  claim tid: It is missing", "fail  token as a whole"}, false},
		"a wrong group":   {"\n  groups: {approver: others}", []string{"The group others did not come; scanner-approvers"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "agent.yaml")
			text := fmt.Sprintf(config, dir, issuer, issuer, row.entry)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := New()
			var out bytes.Buffer
			r, w := io.Pipe()
			cmd.SetArgs([]string{"doctor", "--approval", "--config", file})
			cmd.SetOut(&out)
			cmd.SetErr(w)
			done := make(chan error, 1)
			go func() { done <- cmd.ExecuteContext(t.Context()); w.Close() }()
			said, err := readUntil(r, regexp.MustCompile(`http://\S+authorize\S+\n`))
			if err != nil {
				t.Fatalf("%s, %v", said, <-done)
			}
			go io.Copy(io.Discard, r) //nolint:errcheck // ends with the command
			resp, err := http.Get(strings.TrimSpace(said) + "&login_hint=m.okafor@northfield.example")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if err := <-done; (err == nil) != row.good {
				t.Errorf("%v", err)
			}
			for _, line := range row.says {
				if !strings.Contains(out.String(), line) {
					t.Errorf("does not say %q:\n%s", line, out.String())
				}
			}
		})
	}
}

// readUntil reads to the first match of a pattern.
func readUntil(r io.Reader, pattern *regexp.Regexp) (string, error) {
	var all []byte
	b := make([]byte, 1024)
	for {
		n, err := r.Read(b)
		all = append(all, b[:n]...)
		if found := pattern.Find(all); found != nil {
			return string(found), nil
		}
		if err != nil {
			return string(all), err
		}
	}
}

const config = `
site: NGH
agent: ngh-1
state: %s
nodes:
- {name: broker-1, address: "127.0.0.1:443"}
issuers:
- issuer: %s/vendor
  side: vendor
  clients: {sallyport-cli: cli}
  insecure_loopback: true
- issuer: %s
  side: hospital
  clients: {sallyport-console: console}
  insecure_loopback: true%s
assets:
- name: NGH-PETCT1
  endpoints:
  - name: recon
    address: 127.0.0.1
    services:
    - {name: recon-ssh, protocol: ssh, port: 22, class: observe, login: {user: service, password: "env:X"}, host_key: "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
`
