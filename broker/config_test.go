package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Personas open the door to anybody, so nothing but a demonstration may have them.
func TestPersonasAreForDemonstrations(t *testing.T) {
	good := func() Config {
		return Config{Node: "n1", URL: "http://127.0.0.1:7080", Listen: "127.0.0.1:7080", State: "s", SSH: SSH{Listen: "127.0.0.1:7022"},
			Redis:   Redis{URL: "redis://127.0.0.1:1/0", Ephemeral: true},
			Issuers: []Issuer{{Issuer: session.Issuer{URL: "https://idp.example", Side: session.VendorSide, Login: "cli"}, Sites: []string{"NGH"}}},
			Demo:    &Demo{Personas: []Persona{{Key: "engineer", Name: "Jana Brandt", Email: "j@example", Role: session.Engineer}}}}
	}
	c := good()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if w := c.browsers(nil); !w.Demo || len(w.Personas) != 1 || w.Personas[0].Key != "engineer" {
		t.Errorf("%+v", w)
	}
	for what, spoil := range map[string]func(*Config){
		"a store that keeps": func(c *Config) { c.Redis.Ephemeral = false },
		"an open address":    func(c *Config) { c.Listen, c.TLS = "0.0.0.0:443", TLS{"c", "k"} },
		"a public URL":       func(c *Config) { c.URL, c.TLS = "https://broker.example.org", TLS{"c", "k"} },
		"no address":         func(c *Config) { c.Demo.Personas[0].Email = "" },
		"no key":             func(c *Config) { c.Demo.Personas[0].Key = "" },
		"an unknown role":    func(c *Config) { c.Demo.Personas[0].Role = "admin" },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "$.demo") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who may read the configuration does not learn the store's password from it.
func TestTheStoresPasswordIsNeverInline(t *testing.T) {
	for text, good := range map[string]bool{
		"redis://10.0.0.7:6379/0": true, "unix:///run/redis/s?db=0": true, "redis://sallyport@10.0.0.7:6379/0": true,
		"redis://:hunter2@10.0.0.7:6379/0": false, "redis://u:hunter2@10.0.0.7/0": false, "rediss://u:hunter2@r.example/0": false, "unix://u:hunter2@/run/redis/s": false,
	} {
		c := Config{Redis: Redis{URL: text}}
		err := c.Validate().Error()
		if strings.Contains(err, "$.redis.url") == good || strings.Contains(err, "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestHowLongBrowsersStaySignedIn(t *testing.T) {
	for text, good := range map[string]bool{"": true, "15m": true, "8h": true, "10s": false, "48h": false, "-1h": false, "long": false} {
		c := Config{Web: Web{Idle: text}}
		if err := c.Validate(); strings.Contains(err.Error(), "$.web.idle") == good {
			t.Errorf("%q: %v", text, err)
		}
	}
	if idle, absolute := (Web{Idle: "5m"}).durations(); idle != 5*time.Minute || absolute != 0 {
		t.Errorf("%s %s", idle, absolute)
	}
}

// An address of IPv6 stands in brackets where a port follows.
func TestAddressesOfBothKinds(t *testing.T) {
	for text, good := range map[string]bool{
		"broker.example.org:2222": true, "192.0.2.1:2222": true, "[2001:db8::1]:2222": true, "2001:db8::1:2222": false, "broker.example.org": false,
	} {
		c := Config{URL: "https://[2001:db8::1]", Listen: "[::]:443", SSH: SSH{Listen: "[::]:2222", Address: text}}
		err := c.Validate().Error()
		if strings.Contains(err, "$.ssh.address") == good || strings.Contains(err, "$.ssh.listen") || strings.Contains(err, "$.listen") || strings.Contains(err, "$.url") {
			t.Errorf("%q: %v", text, err)
		}
		if at := c.linkAddress(); at != "[2001:db8::1]:443" {
			t.Errorf("agents dial %s", at)
		}
	}
}
