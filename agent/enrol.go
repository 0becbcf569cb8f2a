package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
)

// Enrolled is what an enrolment leaves behind.
type Enrolled struct {
	Site          string `json:"site"`
	Agent         string `json:"agent"`
	Fingerprint   string `json:"fingerprint"`              // of the identity key
	InputIdentity string `json:"input_identity,omitempty"` // file that was written, if one was
}

// Enrol makes the agent's long-lived keys where they are missing and trades a join
// token for the first link certificate. inputIdentity is the file that takes the
// hospital's input identity; it must not exist yet.
func Enrol(ctx context.Context, cfg Config, joinToken, inputIdentity string) (Enrolled, error) {
	s := state{cfg.State}
	if err := durable.MakeDir(s.dir); err != nil {
		return Enrolled{}, fmt.Errorf("make the state directory: %w", err)
	}
	token, err := link.ParseJoinToken(strings.TrimSpace(joinToken))
	if err != nil {
		return Enrolled{}, err
	}
	if token.Site != cfg.Site || token.Agent != cfg.Agent {
		return Enrolled{}, session.Errorf(session.Invalid, "The join token is for agent %s of site %s, this is agent %s of site %s", token.Agent, token.Site, cfg.Agent, cfg.Site).
			WithNext("Ask the broker's operator for a token of this agent.")
	}
	_, statErr := s.inputRecipient()
	hadRecipient := statErr == nil
	if err := s.makeInputIdentity(inputIdentity); err != nil {
		return Enrolled{}, &session.Error{Kind: session.Invalid, Message: "The hospital's input identity cannot be written", Next: "Name another file with --input-identity.", Err: err}
	}
	key, err := s.makeIdentity()
	if err != nil {
		return Enrolled{}, err
	}
	out, err := proxy.New(cfg.Proxy)
	if err != nil {
		return Enrolled{}, err
	}
	if _, err := link.Enrol(ctx, link.EnrolRequest{JoinToken: strings.TrimSpace(joinToken), Identity: key, Dial: out.Dial, Keep: s.keepEnrolment}); err != nil {
		return Enrolled{}, err
	}
	done := Enrolled{Site: cfg.Site, Agent: cfg.Agent, Fingerprint: session.Fingerprint(key.Public().(ed25519.PublicKey))}
	if !hadRecipient {
		done.InputIdentity = inputIdentity
	}
	return done, nil
}

// keepEnrolment stores what an enrolment brought. The token came out of band and names the
// broker's CA: who answered under it is the first node that the hospital accepts. Every
// other one takes an operator's word.
func (s state) keepEnrolment(issued link.Issued) error {
	if issued.Log.Key != "" {
		if _, err := s.acceptNode(issued.Log, time.Now()); err != nil {
			return err
		}
	}
	return s.keepLink(issued)
}

// Trust is the bundle that the hospital hands to approvers, engineers and verifiers.
func Trust(cfg Config) (session.Trust, error) {
	key, err := state{cfg.State}.identity()
	if err != nil {
		return session.Trust{}, err
	}
	nodes, err := AcceptedNodes(cfg)
	if err != nil {
		return session.Trust{}, err
	}
	ec, err := session.HostKeyEC(key)
	if err != nil {
		return session.Trust{}, err
	}
	second, err := session.KeyLineEC(&ec.PublicKey)
	if err != nil {
		return session.Trust{}, err
	}
	registered, err := Passkeys(cfg)
	if err != nil {
		return session.Trust{}, err
	}
	var passkeys []session.ConsoleKey
	for _, k := range registered {
		passkeys = append(passkeys, k.Public())
	}
	return session.Trust{
		ConsoleKeys: passkeys,
		HostKeyEC:   second,
		Nodes:       nodes,
		V:           1, Site: cfg.Site, Agent: cfg.Agent,
		Identity: session.KeyLine(key.Public().(ed25519.PublicKey)), Issuers: cfg.Issuers,
	}, nil
}

// keepLink stores a certificate with its key.
func (s state) keepLink(issued link.Issued) error {
	data, err := json.Marshal(issued)
	if err != nil {
		return err
	}
	return s.write("link.json", data)
}

// credentials are the link's certificate and CA; renewals replace them.
type credentials struct {
	state state
	log   *slog.Logger

	mu    sync.Mutex
	kept  link.Issued
	pair  *tls.Certificate
	roots *x509.CertPool
}

func loadCredentials(s state, log *slog.Logger) (*credentials, error) {
	kept, err := s.issued()
	if err != nil {
		return nil, err
	}
	c := &credentials{state: s, log: log}
	return c, c.use(*kept)
}

func (c *credentials) use(issued link.Issued) error {
	pair, err := issued.Certificate()
	if err != nil {
		return err
	}
	roots, err := issued.Roots()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept, c.pair, c.roots = issued, pair, roots
	return nil
}

func (c *credentials) certificate() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair, nil
}

func (c *credentials) pool() *x509.CertPool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.roots
}

// renewed stores a renewed certificate, which keeps the key it was asked with.
func (c *credentials) renewed(issued link.Issued) error {
	c.mu.Lock()
	issued.KeyPEM = c.kept.KeyPEM
	issued.Nodes = c.kept.Nodes
	c.mu.Unlock()
	if err := c.use(issued); err != nil {
		return err
	}
	return c.state.keepLink(issued)
}
