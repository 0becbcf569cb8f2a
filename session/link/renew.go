package link

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// renewIfDue renews the certificate over l once half its life is over, and returns
// when to look again.
func (c *Client) renewIfDue(ctx context.Context, l *control) time.Duration {
	if c.cfg.Renew == nil {
		return renewLook
	}
	select {
	case c.renewal <- struct{}{}: // the other control connection may be at it
		defer func() { <-c.renewal }()
	default:
		return renewLook
	}
	issued, err := c.renew(ctx, l)
	switch {
	case err != nil:
		c.cfg.Log.Error("certificate not renewed", "node", l.node.Name, "err", err)
		return renewRetry
	case issued:
		c.cfg.Log.Info("certificate renewed", "node", l.node.Name)
	}
	return renewLook
}

func (c *Client) renew(ctx context.Context, l *control) (bool, error) {
	pair, err := c.cfg.Certificate()
	if err != nil {
		return false, err
	}
	if len(pair.Certificate) == 0 {
		return false, errors.New("the agent has no certificate")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return false, err
	}
	if half := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2); time.Now().Before(half) {
		return false, nil
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return false, errors.New("the agent's key cannot sign")
	}
	csr, err := makeCSR(key)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	f, err := ask(ctx, l.framer, l.calls, verbEnrol, Enrolment{CSR: csr})
	if err != nil {
		return false, err
	}
	chain, err := readChain(f)
	if err != nil {
		return false, err
	}
	return true, c.keepRenewed(leaf, chain)
}

// keepRenewed checks that only the time has changed: name, key and CA stay.
func (c *Client) keepRenewed(old *x509.Certificate, chain Chain) error {
	ca, err := x509.ParseCertificate(chain.CA)
	if err != nil {
		return err
	}
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	if _, err := ca.Verify(x509.VerifyOptions{Roots: c.cfg.Roots(), KeyUsages: usage}); err != nil {
		return fmt.Errorf("the renewed certificate is of another CA: %w", err)
	}
	p, err := PeerOf(old)
	if err != nil {
		return err
	}
	key, ok := old.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return errors.New("the agent's key is not ECDSA")
	}
	issued, err := checkChain(chain, ca, p.Site, p.Agent, key)
	if err != nil {
		return err
	}
	return c.cfg.Renew(issued)
}
