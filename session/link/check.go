package link

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// A message that is spelled right can still ask for what makes no sense. These
// checks say so before any handler sees it.

func invalid(what string) error {
	return session.Errorf(session.Invalid, "The link refused %s.", what).
		WithNext("Both sides must run matching versions of Sallyport.")
}

// urgent reports whether a question ends or stops something: it waits for no other.
func (End) urgent() bool { return true }

func (d Deliver) urgent() bool {
	switch d.Kind {
	case DeliverFreeze, DeliverWithdraw, DeliverRevoke, DeliverDisable:
		return true
	}
	return false
}

func (o Open) check() error {
	switch {
	case !isSecret(o.Token):
		return invalid("a stream without a proper token")
	case !session.ValidName(o.Node):
		return invalid("a stream to something that is not a name")
	case len(o.Peer) > 64:
		return invalid("a stream from an overlong address")
	case len(o.By.Iss) > session.MaxIdentity || len(o.By.Sub) > session.MaxIdentity:
		return invalid("a stream for somebody with an overlong name")
	case o.Door == DoorIssuer:
		if !isIssuer(o.Issuer) || o.Asset != "" || o.Service != "" {
			return invalid("a question to something that is not an issuer")
		}
		return nil
	case !session.ValidName(o.Asset), !session.ValidName(o.Service), o.Issuer != "":
		return invalid("a stream to something that is not a name")
	case o.Door != DoorSSH && o.Door != DoorAttach && o.Door != DoorTLS:
		return invalid("a stream to an unknown door")
	}
	return nil
}

// isIssuer reports whether s has the form of an issuer's URL.
func isIssuer(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.User == nil && len(s) <= 512
}

func (d Deliver) check() error {
	switch d.Kind {
	case DeliverRequest, DeliverApproval, DeliverActivate, DeliverWatch, DeliverThaw, DeliverFreeze, DeliverWithdraw, DeliverRevoke,
		DeliverDisable, DeliverCheckpoint:
		return nil
	}
	return invalid("a delivery of an unknown kind")
}

func (e End) check() error {
	if len(e.Session) > 64 || len(e.Reason) > 32 {
		return invalid("to end something that is not a session")
	}
	return nil
}

// checkFor compares what an agent says of itself with its certificate.
func (h Hello) checkFor(p Peer) error {
	pub, err := session.ParseKeyLine(h.Identity)
	switch {
	case h.V != Version:
		return invalid("a hello of another version")
	case h.Site != p.Site || h.Agent != p.Agent:
		return session.Errorf(session.Denied, "The agent calls itself otherwise than its certificate does.")
	case err != nil || session.Fingerprint(pub) != p.Identity:
		return session.Errorf(session.Denied, "The agent's identity key is not the one with which it was enrolled.").
			WithNext("Enrol the agent again with a new join token.")
	case len(h.Boot) > 64 || len(h.Version) > 64:
		return invalid("an overlong hello")
	}
	for _, a := range h.Assets {
		if !session.ValidName(a.Name) {
			return invalid("an asset without a proper name")
		}
		for _, s := range a.Services {
			if !session.ValidName(s.Name) || !session.ValidName(s.Endpoint) {
				return invalid("a service without a proper name")
			}
		}
	}
	return nil
}

func (r SessionReport) check() error {
	if r.Answer != nil {
		return r.checkAnswer()
	}
	if r.Passkey != nil {
		return r.checkPasskey()
	}
	if len(r.Assets) > 0 {
		return r.checkAssets()
	}
	if _, err := session.ParseSessionID(r.Session); err != nil {
		return invalid("a report about something that is not a session")
	}
	if r.Protocol != "" && !r.Protocol.Known() {
		return invalid("a report about a session of an unknown protocol")
	}
	if c := r.Critical; c != nil && (c.Began.IsZero() || !c.Until.After(c.Began) || c.Until.Sub(c.Began) > session.MaxCritical || len(c.Why) > session.MaxCriticalWhy) {
		return invalid("a report about a critical section that is none")
	}
	if r.Consent != nil && !r.Consent.proper() {
		return invalid("a report about a consent that is none")
	}
	for _, rec := range r.Recordings {
		if _, err := session.ParseRecordingID(rec.Recording); err != nil {
			return invalid("a report about something that is not a recording")
		}
		if !rec.Protocol.Known() {
			return invalid("a report about a recording of an unknown protocol")
		}
	}
	return nil
}

// checkAnswer refuses what says more than one answer, or neither yes nor no.
func (r SessionReport) checkAnswer() error {
	x := *r.Answer
	if r.Session != "" || r.Request != "" || r.Seq != 0 || r.Asset != "" || r.Service != "" || len(r.Recordings)+len(r.Assets) > 0 {
		return invalid("a report about an answer and about something else")
	}
	if _, err := session.ParseRequestID(x.Request); err != nil {
		return invalid("an answer to something that is not a request")
	}
	by := len(x.By.Iss) <= session.MaxIdentity && len(x.By.Sub) <= session.MaxIdentity && len(x.By.Email) <= session.MaxIdentity && len(x.By.Name) <= session.MaxIdentity && x.By.Sub != ""
	approves, denies := len(x.Grant) > 0, x.Reason != ""
	switch {
	case !by || x.At.IsZero():
		return invalid("an answer of nobody, or at no time")
	case approves == denies || (x.Token != "") != (len(x.Salt) == 32) || approves != (x.Token != "" || len(x.Passkey) > 0) || !approves && x.Admitted:
		return invalid("an answer that is neither yes nor no")
	case len(x.Groups) > maxGroups || slices.ContainsFunc(x.Groups, func(g string) bool { return len(g) > session.MaxIdentity }):
		return invalid("an answer of too many groups")
	case len(x.Passkey) > session.MaxAssertion || len(x.Grant) > maxAnswer || len(x.Reason) > maxAnswer || len(x.Token) > maxAnswerToken || x.Count < 0 || x.Needed < 0:
		return invalid("an overlong answer")
	}
	return nil
}

// checkPasskey refuses what says more than one passkey of somebody's.
func (r SessionReport) checkPasskey() error {
	x := *r.Passkey
	if r.Session != "" || r.Request != "" || r.Seq != 0 || r.Asset != "" || r.Service != "" || len(r.Recordings)+len(r.Assets) > 0 {
		return invalid("a report about a passkey and about something else")
	}
	if !session.ValidKeyName(x.Name) || x.Owner.Iss == "" || x.Owner.Sub == "" || len(x.Owner.Iss) > session.MaxIdentity || len(x.Owner.Sub) > session.MaxIdentity ||
		x.Host == "" || len(x.Host) > session.MaxHost || x.Since.IsZero() || !x.Until.IsZero() && x.Until.Before(x.Since) {
		return invalid("a report about a passkey that is none")
	}
	return nil
}

// proper refuses an asking that no operator is asked, and an answer that says nothing.
func (c Consent) proper() bool {
	answered := c.Outcome == session.ConsentGiven || c.Outcome == session.ConsentNot
	return c.Kind.Asked() && session.ValidName(c.Service) && !c.Since.IsZero() && c.Until.After(c.Since) && c.Until.Sub(c.Since) <= session.MaxAsking &&
		c.Wrong >= 0 && c.Wrong <= MaxWrong && c.Outcome.Known() && answered == c.Answer.How.Known() && answered != c.Answer.IsZero() && len(c.Answer.By) <= MaxConsenter
}

// checkAssets refuses what says more than how scanners stand, each once.
func (r SessionReport) checkAssets() error {
	if r.Session != "" || r.Request != "" || r.Seq != 0 || r.Asset != "" || r.Service != "" || len(r.Recordings) > 0 {
		return invalid("a report about a session and about scanners")
	}
	if len(r.Assets) > MaxStandings {
		return invalid("a report about too many scanners")
	}
	seen := map[string]bool{}
	for _, a := range r.Assets {
		if !session.ValidName(a.Asset) || seen[a.Asset] || a.Standing != nil && !a.Standing.Proper() {
			return invalid("a report about a scanner in a state that is none")
		}
		seen[a.Asset] = true
	}
	return nil
}

func (p Put) check() error {
	sum, err := hex.DecodeString(p.SHA256)
	switch {
	case p.SHA256 != "" && (err != nil || len(sum) != 32 || strings.ToLower(p.SHA256) != p.SHA256):
		return invalid("a part with something else than its SHA-256")
	case p.Size < 0 || p.Size > MaxPart:
		return invalid("a part of an impossible size")
	case !validPart(p.Part):
		return invalid("a part without a proper name")
	}
	if _, err := session.ParseRecordingID(p.Recording); err != nil {
		return invalid("a part of something that is not a recording")
	}
	return nil
}

// validPart allows plain file names only: no separators, no leading dot.
func validPart(s string) bool {
	if len(s) == 0 || len(s) > 64 || s[0] == '.' {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
		default:
			return false
		}
	}
	return true
}

func (r Role) check() error {
	switch {
	case r.V != Version:
		return invalid("a connection of another version")
	case (r.Role == RoleStream) != (r.Token != ""), (r.Role == RoleRelay) != (r.Issuer != ""):
		return invalid("a connection whose purpose is unclear")
	case r.Role == RoleStream && !isSecret(r.Token):
		return invalid("a stream without a proper token")
	case r.Role == RoleRelay && !isIssuer(r.Issuer):
		return invalid("a relay to something that is not an issuer")
	}
	return nil
}

// isSecret reports whether s is 256 bits in canonical base64url.
func isSecret(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32 && base64.RawURLEncoding.EncodeToString(b) == s
}
