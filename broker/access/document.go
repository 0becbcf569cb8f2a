package access

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

// checkRequest refuses what no agent would take.
func checkRequest(r grant.Request, asset session.Asset, now time.Time) error {
	if !sentence(r.Reason, grant.MaxReason) {
		return refusal(session.Invalid, "Say why, with --reason.", "A request needs a reason.")
	}
	return grant.AdmitsRequest(asset, r, now, now)
}

// checkGrant refuses a grant that no agent would take for the request: another's,
// or a wider one.
func checkGrant(g grant.Grant, rec record, asset session.Asset, now time.Time) error {
	wrong := func(format string, args ...any) error {
		return refusal(session.Invalid, "Approve it again with sallyport approve.", format, args...)
	}
	switch {
	case g.Req != hashOf(rec.Request):
		return wrong("The grant is for another request.")
	case g.Agent != rec.Identity:
		return wrong("The grant is for another agent.")
	}
	return grant.AdmitsGrant(asset, rec.doc, rec.Proof.Received, g, now)
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

// sentence reports whether s is one line of at most limit bytes that says something.
func sentence(s string, limit int) bool {
	return len(s) <= limit && wording.Plain(s) && wording.Says(s)
}
