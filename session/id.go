package session

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"strings"
)

// ID is the 16 random bytes behind every name that Sallyport hands out. Documents
// carry it as base64url (Text), people and APIs as a letter and base32 (R-, S-, V-).
type ID [16]byte

var lowerBase32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewID draws a fresh ID. crypto/rand never fails on the systems we support.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:])
	return id
}

// Text is the 22-character unpadded base64url form used inside documents.
func (id ID) Text() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// Request, Session and Recording are the forms that people see.
func (id ID) Request() string   { return id.named("R-") }
func (id ID) Session() string   { return id.named("S-") }
func (id ID) Recording() string { return id.named("V-") }

func (id ID) named(prefix string) string {
	return prefix + strings.ToLower(lowerBase32.EncodeToString(id[:]))
}

// IsZero reports whether id was never drawn.
func (id ID) IsZero() bool { return id == ID{} }

// ParseText reads the document form; anything but its one canonical spelling is refused.
func ParseText(s string) (ID, error) {
	var id ID
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(id) {
		return ID{}, Errorf(Invalid, "%.40q is not an id of 16 bytes", s)
	}
	copy(id[:], b)
	if id.Text() != s {
		return ID{}, Errorf(Invalid, "%.40q is not an id in canonical form", s)
	}
	return id, nil
}

// ParseRequestID, ParseSessionID and ParseRecordingID read the form that people type.
func ParseRequestID(s string) (ID, error)   { return parseNamed("R-", "request", s) }
func ParseSessionID(s string) (ID, error)   { return parseNamed("S-", "session", s) }
func ParseRecordingID(s string) (ID, error) { return parseNamed("V-", "recording", s) }

func parseNamed(prefix, noun, s string) (ID, error) {
	var id ID
	body, ok := strings.CutPrefix(s, prefix)
	if ok {
		b, err := lowerBase32.DecodeString(strings.ToUpper(body))
		if err == nil && len(b) == len(id) {
			copy(id[:], b)
			if id.named(prefix) == s {
				return id, nil
			}
		}
	}
	return ID{}, Errorf(Invalid, "%.60q is not a %s id", s, noun).WithNext("A " + noun + " id looks like " + ID{}.named(prefix) + ".")
}
