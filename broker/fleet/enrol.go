package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

const joinKind = "join"

// joinRecord is what a join token stands for. The store knows the hash of its
// secret only.
type joinRecord struct {
	Site    string    `json:"site"`
	Agent   string    `json:"agent"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	// Identity is the fingerprint of the first agent that showed the token. It is that
	// agent's from then on, who may ask again until it has kept its certificate.
	Identity string `json:"identity,omitempty"`
	// Replaces is the fingerprint of the identity that the new one takes the place of.
	Replaces string `json:"replaces,omitempty"`
}

func joinID(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Join is whom a join token is for. An agent that is known by Identity enrols with that
// one or, where another shall take its place, with any but that one.
type Join struct {
	Site, Agent string
	Identity    string // fingerprint; "": nobody has it yet
	Replace     bool
}

// JoinToken makes the text with which one agent can enrol once, within ttl, which
// is an hour at most.
func (f *Fleet) JoinToken(ctx context.Context, j Join, ttl time.Duration) (string, error) {
	if ttl <= 0 || ttl > link.MaxJoinTime {
		return "", session.Errorf(session.Invalid, "A join token lives for an hour at most.")
	}
	t := link.JoinToken{Site: j.Site, Agent: j.Agent, Nodes: f.cfg.Nodes, CA: f.cfg.CA.Fingerprint(), Secret: newSecret()}
	text, err := t.Text()
	if err != nil {
		return "", err
	}
	now := f.cfg.Now().UTC()
	r := joinRecord{Site: j.Site, Agent: j.Agent, Made: now, Expires: now.Add(ttl), Identity: j.Identity}
	if j.Replace {
		r.Identity, r.Replaces = "", j.Identity
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	if err := f.cfg.Once.Create(ctx, joinKind, joinID(t.Secret), b, ttl); err != nil {
		return "", storeDown(err)
	}
	return text, nil
}

func storeDown(err error) error {
	return &session.Error{
		Kind:    session.Unreachable,
		Message: "The broker's store did not answer.",
		Next:    "Try again in a moment.",
		Err:     err,
	}
}

// issuer is the side of a Fleet that makes certificates.
type issuer struct{ f *Fleet }

var _ link.Issuer = issuer{}

// Enrol checks everything that costs nothing, then binds the join token to the agent's
// identity. The token is spent by Enrolled: whoever did not get the answer asks again.
func (i issuer) Enrol(ctx context.Context, e link.Enrolment) (link.Chain, error) {
	f := i.f
	csr, err := link.CheckCSR(e.CSR)
	if err != nil {
		return link.Chain{}, err
	}
	pub, err := link.CheckProof(e.Identity, e.CSR, e.Proof)
	if err != nil {
		return link.Chain{}, err
	}
	identity := session.Fingerprint(pub)
	r, err := f.claim(ctx, e.Secret, identity)
	if err != nil {
		return link.Chain{}, err
	}
	if err := f.enrolled(ctx, r); err != nil {
		return link.Chain{}, err
	}
	chain, err := f.cfg.CA.agent(r.Site, r.Agent, identity, csr.PublicKey)
	chain.Log = f.cfg.AuditLog
	if err == nil {
		f.cfg.Log.Info("agent enrolled", "site", r.Site, "agent", r.Agent, "identity", identity)
	}
	return chain, err
}

// enrolled writes an enrolment down, and shuts out whom it replaces.
func (f *Fleet) enrolled(ctx context.Context, r joinRecord) error {
	details := map[string]string{"agent": r.Agent, "identity": r.Identity}
	if r.Replaces != "" {
		details["replaces"] = r.Replaces
	}
	if f.cfg.Audit != nil {
		if err := f.cfg.Audit.Append(ctx, witness.Event{Event: witness.AgentEnrolled, Site: r.Site, Details: details}); err != nil {
			return err
		}
	}
	if r.Replaces == "" {
		return nil
	}
	return f.deny(ctx, Denial{Site: r.Site, Agent: r.Agent, At: f.cfg.Now().UTC(), Keep: r.Identity})
}

// claim binds a join token that still counts to the identity that shows it: of several
// one gets it, and that one as often as it asks.
func (f *Fleet) claim(ctx context.Context, secret, identity string) (joinRecord, error) {
	bad := session.Errorf(session.Denied, "The join token is unknown, used or too old.").
		WithNext("Ask the broker's operators for a new one.")
	var r joinRecord
	err := f.cfg.Once.Update(ctx, joinKind, joinID(secret), func(old []byte) ([]byte, error) {
		r = joinRecord{}
		if err := json.Unmarshal(old, &r); err != nil {
			return nil, err
		}
		switch {
		case !f.cfg.Now().Before(r.Expires):
			return nil, bad
		case r.Identity != "" && r.Identity != identity, r.Replaces == identity:
			return nil, session.Errorf(session.Denied, "The join token is for an agent with another key.").
				WithNext("Where this machine takes the other's place, ask the broker's operators for a token of: sallyport-broker agents replace.")
		}
		// A token made before the agent was revoked must not bring it back.
		if err := f.revoked(ctx, link.Peer{Site: r.Site, Agent: r.Agent, Issued: r.Made, Identity: identity}); err != nil {
			return nil, err
		}
		if r.Identity == identity {
			return old, nil
		}
		r.Identity = identity
		return json.Marshal(r)
	})
	var said *session.Error
	switch {
	case errors.Is(err, os.ErrNotExist):
		return joinRecord{}, bad
	case errors.As(err, &said):
		return joinRecord{}, err
	case err != nil:
		return joinRecord{}, storeDown(err)
	}
	return r, nil
}

// Enrolled spends the join token of an agent that has kept its certificate.
func (i issuer) Enrolled(ctx context.Context, e link.Enrolment) error {
	_, err := i.f.cfg.Once.Take(ctx, joinKind, joinID(e.Secret))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return storeDown(err)
	}
	return nil
}

// Renew issues a certificate for the same name and the same key.
func (i issuer) Renew(ctx context.Context, p link.Peer, csr []byte) (link.Chain, error) {
	r, err := link.CheckCSR(csr)
	if err != nil {
		return link.Chain{}, err
	}
	if sha256.Sum256(r.RawSubjectPublicKeyInfo) != p.Key {
		return link.Chain{}, session.Errorf(session.Denied, "A certificate is renewed for the key it has.").
			WithNext("Enrol the agent again with a new join token.")
	}
	return i.f.cfg.CA.agent(p.Site, p.Agent, p.Identity, r.PublicKey)
}
