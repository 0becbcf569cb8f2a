package access

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

// Bounds of what people send.
const (
	maxToken  = 16 << 10
	maxDenial = 500 // bytes
	saltBytes = 32
)

// checkRequest refuses what no agent would take.
func checkRequest(r grant.Request, asset session.Asset, now time.Time) error {
	switch {
	case r.Kind != grant.KindSession && r.Kind != grant.KindExtension:
		return refusal(session.Refused, "Ask for a new session.", "Only new sessions and extensions can be asked for.")
	case r.EXP <= now.Unix():
		return refusal(session.Expired, "Ask again with sallyport request new.", "The window that was asked for is over.")
	case !sentence(r.Reason, grant.MaxReason):
		return refusal(session.Invalid, "Say why, with --reason.", "A request needs a reason.")
	case r.Kind == grant.KindExtension && r.Key != "":
		return refusal(session.Invalid, "Ask with sallyport request extend.", "An extension brings no key.")
	case r.Kind == grant.KindSession && r.Key == "" && r.NBF <= now.Unix():
		return refusal(session.Refused, "Ask again with sallyport request new.",
			"A request for now brings its key.")
	}
	for _, c := range r.Channels {
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
	wrong := func(format string, args ...any) error {
		return refusal(session.Invalid, "Approve it again with sallyport approve.", format, args...)
	}
	switch {
	case g.Req != hashOf(rec.Request):
		return wrong("The grant is for another request.")
	case g.Agent != rec.Identity:
		return wrong("The grant is for another agent.")
	case g.EXP <= now.Unix():
		return refusal(session.Expired, "The engineer has to ask again.", "The grant's window is over.")
	}
	return grant.Within(g, rec.doc)
}

// hashOf is qh in hex, as a grant carries it.
func hashOf(request []byte) string {
	sum := grant.RequestHash(request)
	return hex.EncodeToString(sum[:])
}

func checkProof(p grant.Proof) error {
	if len(p.Salt) != saltBytes || len(p.Token) == 0 || len(p.Token) > maxToken || strings.Count(p.Token, ".") != 2 {
		return refusal(session.Invalid, "Try again with the sallyport command of this version.",
			"That is not an ID token with its salt.")
	}
	return nil
}

// sentence reports whether s is one non-empty line of at most limit bytes.
func sentence(s string, limit int) bool {
	return strings.TrimSpace(s) != "" && len(s) <= limit && wording.Plain(s)
}

// dotted writes an asset's service as people write it.
func dotted(asset, service string) string { return fmt.Sprintf("%s/%s", asset, service) }
