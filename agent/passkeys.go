package agent

import (
	"fmt"
	"time"

	"github.com/sallyport/sallyport/agent/keyring"
	"github.com/sallyport/sallyport/session"
)

// passkeysFile is where the passkeys of the agent's page stand, in its state directory.
const passkeysFile = "passkeys.json"

func (c *Config) keyring() *keyring.Ring { return keyring.At(state{c.State}.path(passkeysFile)) }

// Passkeys are those that people registered on the agent's page, the revoked ones too.
func Passkeys(cfg Config) ([]keyring.Key, error) { return cfg.keyring().All() }

// RevokePasskeys makes passkeys count for nothing from now on: the one of a name, or all of
// the person with an address or a subject.
func RevokePasskeys(cfg Config, which string, now time.Time) ([]keyring.Key, error) {
	return cfg.keyring().Revoke(which, now)
}

// passkeys refuses to count what nobody could register.
func (v *checker) passkeys(c *Config) {
	for i, a := range c.Assets {
		path, k := fmt.Sprintf("$.assets[%d].policy.console_keys", i), a.Policy.ConsoleKeys
		v.require(path, k == "" || k.Known(), fmt.Sprintf("%q, %q or %q", session.KeysNone, session.KeysInstead, session.KeysBoth))
		v.require(path, !k.Used() || c.Console.Host != "", "passkeys are registered on the agent's page, which needs a name for them: console.host")
	}
}
