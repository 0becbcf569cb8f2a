package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/secret"
)

func TestWhatAnAgentNeedsIsLookedAt(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	ref := func(text string) secret.Reference {
		r, err := secret.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	service := func(name string, password secret.Reference) Service {
		return Service{Name: name, Protocol: session.SSH, Port: 1, Class: session.NonDisruptive, HostKey: "SHA256:HCT2ojBDbZMmsuxIFGnJBRWgXCvQIdnmkwOqHabkVHA", Login: device.Login{User: "u", Password: password}}
	}
	cfg := Config{Site: "NGH", Agent: "ngh-1", State: filepath.Join(dir, "gone", "state"), Proxy: proxy.Config{URL: "http://proxy.example.org:3128", CA: filepath.Join(dir, "ca.pem")},
		Assets: []Asset{{Name: "NGH-CT1", Endpoints: []Endpoint{{Name: "recon", Address: "127.0.0.1", Services: []Service{service("one", ref("file:"+file)), service("two", ref("credential:two"))}}}}}}
	missing, notes := Ready(t.Context(), cfg, false)
	said := ""
	for _, err := range missing {
		said += err.Error() + "\n"
	}
	for _, words := range []string{"The state directory " + cfg.State + " does not exist", "The proxy's authorities cannot be read", "The password for NGH-CT1 recon/one cannot be read"} {
		if !strings.Contains(said, words) {
			t.Errorf("%q is not said: %s", words, said)
		}
	}
	if told := strings.Join(notes, "\n"); len(missing) != 3 || !strings.Contains(told, "recon/two (credential:two) was not looked at") {
		t.Errorf("%d things are missing: %s; notes: %s", len(missing), said, told)
	}
	if err := os.WriteFile(file, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.State, cfg.Proxy = dir, proxy.Config{URL: proxy.Direct}
	if err := os.WriteFile(filepath.Join(dir, "ngh-input.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing, notes = Ready(t.Context(), cfg, false)
	if told := strings.Join(notes, "\n"); len(missing) != 0 || !strings.Contains(told, "not enrolled yet") || !strings.Contains(told, "input identity is still on this machine") {
		t.Errorf("%v; notes: %s", missing, told)
	}
	cfg.Assets[0].Endpoints[0].Services = cfg.Assets[0].Endpoints[0].Services[:1]
	if missing, _ = Ready(t.Context(), cfg, true); len(missing) != 1 { // nobody listens on that port
		t.Errorf("a device that is not there: %v", missing)
	}
}
