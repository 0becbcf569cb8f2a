package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Bounds of what people send.
const (
	maxDocument = 4096
	maxToken    = 16 << 10
	maxReason   = 1000 // bytes, of a request
	maxRef      = 64   // bytes
	maxDenial   = 500  // bytes
	saltBytes   = 32
)

// parseRequest reads an engineer's document.
func parseRequest(raw []byte) (grant.Request, error) { return strict[grant.Request](raw, "request") }

// parseGrant reads a hospital's document.
func parseGrant(raw []byte) (grant.Grant, error) { return strict[grant.Grant](raw, "grant") }

// requestHash is qh in hex, as a grant carries it.
func requestHash(raw []byte) string {
	sum := sha256.Sum256(append([]byte("sallyport/request/v1\x00"), raw...))
	return hex.EncodeToString(sum[:])
}

// strict reads JSON that is exactly what we would write: duplicate names, other
// spellings, other order, white space and trailing data all fail the comparison.
func strict[T any](raw []byte, noun string) (T, error) {
	var doc, none T
	bad := func() (T, error) {
		return none, refusal(session.Invalid, "Make it with the sallyport command of this version.",
			"That is not a %s document.", noun)
	}
	if len(raw) > maxDocument || !utf8.Valid(raw) || json.Unmarshal(raw, &doc) != nil {
		return bad()
	}
	var again bytes.Buffer
	enc := json.NewEncoder(&again)
	enc.SetEscapeHTML(false)
	if enc.Encode(doc) != nil || !bytes.Equal(bytes.TrimSuffix(again.Bytes(), []byte("\n")), raw) {
		return bad()
	}
	return doc, nil
}

// checkRequest refuses what no agent would take.
func checkRequest(r grant.Request, asset session.Asset, now time.Time) error {
	wrong := func(format string, args ...any) error {
		return refusal(session.Invalid, "Ask again with sallyport request new.", format, args...)
	}
	if _, err := session.ParseText(r.RID); err != nil || r.V != 1 || r.Typ != "sallyport-request" {
		return wrong("That is not a request document.")
	}
	switch {
	case r.Kind != "session" || r.Parent != "":
		return refusal(session.Refused, "Ask for a new session.", "Only new sessions can be asked for.")
	case len(r.Services) == 0 || !sorted(r.Services) || !sorted(r.Channels):
		return wrong("Services and channels must be listed once each, in order.")
	case !r.Class.Known():
		return wrong("%.40q is not a service class.", r.Class)
	case r.EXP <= r.NBF || r.MaxS <= 0 || r.EXP > 1<<40:
		return wrong("The window or the longest session makes no sense.")
	case r.EXP <= now.Unix():
		return refusal(session.Expired, "Ask again with sallyport request new.", "The window that was asked for is over.")
	case !sentence(r.Reason, maxReason) || len(r.Ref) > maxRef || !plain(r.Ref):
		return wrong("Reason and work order must each be one plain line.")
	case r.Key == "":
		return refusal(session.Refused, "Ask within the hour before you start.",
			"A request without a key cannot be opened yet.")
	case len(r.Key) > 512 || strings.Count(r.Key, " ") != 1 || !plain(r.Key):
		return wrong("The key is not one line of OpenSSH without a comment.")
	}
	for _, c := range r.Channels {
		if !c.Known() {
			return wrong("%.40q is not a channel.", c)
		}
		if len(asset.Policy.Channels) > 0 && !slices.Contains(asset.Policy.Channels, c) {
			return refusal(session.Refused, "Ask without it.", "%s does not allow the channel %s.", asset.Name, c)
		}
	}
	return checkServices(r, asset)
}

func checkServices(r grant.Request, asset session.Asset) error {
	for _, name := range r.Services {
		s, ok := asset.Service(name)
		if !ok {
			return refusal(session.Invalid, "See sallyport assets.", "%s has no service %.64s.", asset.Name, name)
		}
		if !r.Class.Within(s.Class) {
			return refusal(session.Refused, "Ask for a milder class.",
				"%s/%s may be used %s at most, not %s.", asset.Name, name, s.Class, r.Class)
		}
	}
	return nil
}

// checkGrant refuses a grant that no agent would take for the request: another's,
// or a wider one.
func checkGrant(g grant.Grant, rec record, now time.Time) error {
	r := rec.doc
	wrong := func(format string, args ...any) error {
		return refusal(session.Invalid, "Approve it again with sallyport approve.", format, args...)
	}
	if _, err := session.ParseText(g.GID); err != nil || g.V != 1 || g.Typ != "sallyport-grant" {
		return wrong("That is not a grant document.")
	}
	switch {
	case g.Req != requestHash(rec.Request):
		return wrong("The grant is for another request.")
	case g.Site != r.Site || g.Asset != r.Asset:
		return wrong("The grant is for another scanner.")
	case g.Agent != rec.Identity:
		return wrong("The grant is for another agent.")
	case len(g.Services) == 0 || !sorted(g.Services) || !sorted(g.Channels) || !within(g.Services, r.Services) || !within(g.Channels, r.Channels):
		return wrong("The grant allows services or channels that were not asked for.")
	case !g.Class.Within(r.Class):
		return wrong("The grant allows a stronger class than was asked for.")
	case g.NBF < r.NBF || g.EXP > r.EXP || g.EXP <= g.NBF || g.MaxS > r.MaxS || g.MaxS <= 0:
		return wrong("The grant allows more time than was asked for.")
	case g.EXP <= now.Unix():
		return refusal(session.Expired, "The engineer has to ask again.", "The grant's window is over.")
	case !slices.Contains(g.Obl, "record"):
		return wrong("The grant does not oblige to record.")
	}
	return nil
}

func checkProof(p grant.Proof) error {
	if len(p.Salt) != saltBytes || len(p.Token) == 0 || len(p.Token) > maxToken || strings.Count(p.Token, ".") != 2 {
		return refusal(session.Invalid, "Try again with the sallyport command of this version.",
			"That is not an ID token with its salt.")
	}
	return nil
}

// sorted reports whether no name comes twice or out of order.
func sorted[T ~string](s []T) bool {
	for i := 1; i < len(s); i++ {
		if s[i-1] >= s[i] {
			return false
		}
	}
	return true
}

func within[T comparable](part, whole []T) bool {
	for _, x := range part {
		if !slices.Contains(whole, x) {
			return false
		}
	}
	return true
}

// sentence reports whether s is one non-empty line of at most limit bytes.
func sentence(s string, limit int) bool {
	return strings.TrimSpace(s) != "" && len(s) <= limit && plain(s)
}

// plain reports whether s is UTF-8 without anything that moves a cursor or hides text.
func plain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return false
		}
	}
	return true
}

// dotted writes an asset's service as people write it.
func dotted(asset, service string) string { return fmt.Sprintf("%s/%s", asset, service) }
