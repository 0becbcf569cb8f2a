package session

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// ConsoleKeys is what the passkeys of the agent's own page count for at an asset.
type ConsoleKeys string

const (
	KeysNone    ConsoleKeys = "none"    // nothing
	KeysInstead ConsoleKeys = "instead" // a passkey may stand for its owner's sign-in
	KeysBoth    ConsoleKeys = "both"    // an approval is a sign-in and a passkey of one person
)

// Known reports whether it is one of these.
func (k ConsoleKeys) Known() bool { return k == KeysNone || k.Used() }

// Used reports whether passkeys count for anything.
func (k ConsoleKeys) Used() bool { return k == KeysInstead || k == KeysBoth }

// ConsoleKey is a passkey that somebody registered on the agent's page, as the agent's trust
// bundle vouches for it. None of it is secret.
type ConsoleKey struct {
	ID     []byte    `json:"id"`
	Public []byte    `json:"public"` // PKIX
	Host   string    `json:"host"`   // of the page that it is bound to
	Owner  Identity  `json:"owner"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // it was revoked then
}

// Counts reports whether the key was its owner's to use at a time.
func (k ConsoleKey) Counts(at time.Time) bool {
	return !at.Before(k.Since) && (k.Until.IsZero() || at.Before(k.Until))
}

// Name is the key's name in lists and evidence: K- and twelve digits of its id's hash.
func (k ConsoleKey) Name() string {
	sum := sha256.Sum256(k.ID)
	return "K-" + hex.EncodeToString(sum[:6])
}

// ValidKeyName reports whether a text is what Name gives.
func ValidKeyName(s string) bool {
	digits, ok := strings.CutPrefix(s, "K-")
	raw, err := hex.DecodeString(digits)
	return ok && err == nil && len(raw) == 6 && strings.ToLower(digits) == digits
}

// CheckConsoleKeys refuses keys that stand twice, or of which something is missing.
func CheckConsoleKeys(all []ConsoleKey) error {
	if len(all) > MaxConsoleKeys {
		return Errorf(Invalid, "there are %d passkeys; %d are possible", len(all), MaxConsoleKeys)
	}
	seen := map[string]bool{}
	for _, k := range all {
		switch {
		case len(k.ID) == 0 || len(k.Public) == 0 || k.Host == "" || k.Owner.Iss == "" || k.Owner.Sub == "" || k.Since.IsZero():
			return Errorf(Invalid, "the passkey %s is not whole", k.Name())
		case !k.Until.IsZero() && k.Until.Before(k.Since):
			return Errorf(Invalid, "the passkey %s was revoked before it was registered", k.Name())
		case seen[string(k.ID)]:
			return Errorf(Invalid, "the passkey %s stands twice", k.Name())
		}
		seen[string(k.ID)] = true
	}
	return nil
}
