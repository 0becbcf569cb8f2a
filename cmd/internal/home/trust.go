package home

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// ParseTrust reads a bundle strictly and checks that it pins what a bundle must.
func ParseTrust(data []byte) (session.Trust, error) {
	var t session.Trust
	refuse := func(why string) (session.Trust, error) {
		return session.Trust{}, session.Errorf(session.Invalid, "This is not a usable trust bundle: %s", why).
			WithNext("Ask the hospital for the output of `sallyport-agent trust export`.")
	}
	if err := strictJSON(data, &t); err != nil {
		return refuse(err.Error())
	}
	if t.V != 1 {
		return refuse("its version is not 1")
	}
	if !session.ValidName(t.Site) || !session.ValidName(t.Agent) {
		return refuse("it names no site or no agent")
	}
	if _, err := session.ParseKeyLine(t.Identity); err != nil {
		return refuse("the agent's identity key is not an ssh-ed25519 key line")
	}
	if t.HostKeyEC != "" {
		if _, err := session.ParseKeyLineEC(t.HostKeyEC); err != nil {
			return refuse("the agent's second host key is not an ecdsa-sha2-nistp256 key line")
		}
	}
	if err := t.Nodes.Check(); err != nil {
		return refuse(err.Error())
	}
	if err := session.CheckConsoleKeys(t.ConsoleKeys); err != nil {
		return refuse(err.Error())
	}
	if len(t.Issuers) == 0 {
		return refuse("it pins no identity provider")
	}
	for _, i := range t.Issuers {
		if !i.Safe(i.URL) {
			return refuse("an identity provider's address is neither https nor http on loopback")
		}
		if i.Side != session.VendorSide && i.Side != session.HospitalSide {
			return refuse("an identity provider is on neither the vendor's side nor the hospital's")
		}
		if err := i.Check(i.URL); err != nil {
			return refuse(err.Error())
		}
	}
	return t, nil
}

// Trust reads all imported bundles, sorted by site. A bundle that does not parse
// is an error: ignoring an anchor would hide a problem.
func (h Home) Trust() ([]session.Trust, error) { return h.bundles("trust.d") }

// Signers are the bundles by which recordings are verified: those of Trust, and those that
// a newer one replaced. An agent's machine dies; what it signed stays its.
func (h Home) Signers() ([]session.Trust, error) {
	all, err := h.Trust()
	if err != nil {
		return nil, err
	}
	former, err := h.bundles(replaced)
	return append(all, former...), err
}

// replaced is where bundles are kept that a newer one replaced.
const replaced = "trust.d/former"

func (h Home) bundles(dir string) ([]session.Trust, error) {
	entries, err := os.ReadDir(h.Path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []session.Trust
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		data, err := durable.Read(h.Path(dir, e.Name()), MaxFile)
		if err != nil {
			return nil, err
		}
		t, err := ParseTrust(data)
		if err != nil {
			return nil, session.Errorf(session.KindOf(err), "%s: %w", h.Path(dir, e.Name()), err).
				WithNext("Remove the file, or import the bundle again.")
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b session.Trust) int { return strings.Compare(a.Site, b.Site) })
	return all, nil
}

// ForSite is the bundle of a site.
func ForSite(all []session.Trust, site string) (session.Trust, error) {
	var found []session.Trust
	for _, t := range all {
		if t.Site == site {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return session.Trust{}, session.Errorf(session.Refused, "Nothing vouches for site %.64q yet: its trust bundle was not imported", site).
			WithNext("Get the bundle from the hospital and run: sallyport trust import FILE")
	default:
		return session.Trust{}, session.Errorf(session.Refused, "There is more than one trust bundle for site %.64q", site).
			WithNext("Leave the current one in trust.d and remove the others.")
	}
}

// IssuerFor picks the identity provider that signs in an e-mail's domain.
func IssuerFor(all []session.Trust, email string) (session.Issuer, error) {
	_, domain, ok := strings.Cut(strings.ToLower(email), "@")
	if !ok || domain == "" {
		return session.Issuer{}, session.Errorf(session.Invalid, "%.100q is not an e-mail address", email).
			WithNext("Name yourself as in: sallyport login --hint jana@meridian.example")
	}
	var found *session.Issuer
	for _, t := range all {
		for _, i := range t.Issuers {
			if !slices.ContainsFunc(i.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
				continue
			}
			if found != nil && (found.URL != i.URL || found.Login != i.Login) {
				return session.Issuer{}, session.Errorf(session.Refused, "Two trust bundles disagree about who signs in %.100q", domain).
					WithNext("Look at `sallyport trust ls` and ask the hospitals which is right.")
			}
			found = &i
		}
	}
	if found == nil {
		return session.Issuer{}, session.Errorf(session.Refused, "No trust bundle names an identity provider for %.100q", domain).
			WithNext("Check the spelling, or import the right bundle: sallyport trust import FILE")
	}
	if found.Login == "" {
		return session.Issuer{}, session.Errorf(session.Refused, "The trust bundle has no command-line client for %.100q", domain).
			WithNext("Ask the hospital for a bundle with a login client.")
	}
	return *found, nil
}

// IssuerAt finds a side's pinned identity provider by its exact URL.
func IssuerAt(t session.Trust, issuer string, side session.Side) (session.Issuer, bool) {
	for _, i := range t.Issuers {
		if i.URL == issuer && i.Side == side {
			return i, true
		}
	}
	return session.Issuer{}, false
}

// Client is the issuer's one client id of a class.
func Client(i session.Issuer, class session.ClientClass) (string, bool) {
	var ids []string
	for id, c := range i.Clients {
		if c == class {
			ids = append(ids, id)
		}
	}
	if len(ids) != 1 {
		return "", false
	}
	return ids[0], true
}

// ImportTrust keeps a bundle as its site's. A bundle with another identity key
// than the one already trusted is refused unless replace is set.
func (h Home) ImportTrust(t session.Trust, replace bool) error {
	all, err := h.Trust()
	if err != nil {
		return err
	}
	for _, old := range all {
		switch {
		case old.Site != t.Site || old.Identity == t.Identity:
			continue
		case !replace:
			return session.Errorf(session.Refused, "Another agent key is already trusted for site %s", t.Site).
				WithNext("If the hospital told you of the change, add --replace.")
		}
		sum := sha256.Sum256([]byte(old.Identity))
		if err := h.writeJSON(filepath.Join(replaced, old.Site+"-"+hex.EncodeToString(sum[:8])+".json"), old); err != nil {
			return err
		}
	}
	return h.writeJSON(filepath.Join("trust.d", t.Site+".json"), t)
}
