package config

import (
	"strings"
	"testing"
)

// A secret that somebody wrote inline is not repeated, wherever the error stands.
func TestSecretsAreNotShown(t *testing.T) {
	for _, line := range []string{
		"password: hunter-canary", `password: "hunter, with comma} and canary"`, "login: {user: x, password: hunter-canary}", "  passphrase:   'hunter-canary'",
	} {
		if got := conceal("> 3 | " + line + "\n       ^"); strings.Contains(got, "canary") || !strings.Contains(got, "(not shown)") {
			t.Errorf("%q shows as %q", line, got)
		}
	}
	for _, line := range []string{"password: file:/run/secrets/device", "host_key: SHA256:abc", "longest: 8h"} {
		if got := conceal(line); got != line {
			t.Errorf("%q became %q", line, got)
		}
	}
}
