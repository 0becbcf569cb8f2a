package passkey

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// Challenge is what a key signs to approve a grant: it covers the document's exact bytes.
func Challenge(grant []byte) [32]byte {
	return sha256.Sum256(append([]byte("sallyport/v1/approve-webauthn\x00"), grant...))
}

// Page is whose passkeys count. The zero Page has none.
type Page struct {
	host   string // what keys are bound to
	origin string // as browsers write it
}

// At is the page at an address such as https://console.hospital.example:8443. Browsers bind
// keys to names only.
func At(address string) (Page, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || !goodName(u.Hostname()) {
		return Page{}, session.Errorf(session.Invalid, "Passkeys need a page with a host name of its own, over https").
			WithNext("Give the agent's page a name in small letters, such as console.hospital.example, and a certificate for it.")
	}
	p := Page{host: u.Hostname(), origin: "https://" + u.Host}
	p.origin = strings.TrimSuffix(p.origin, ":443") // as browsers leave it out
	return p, nil
}

func goodName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || len(host) > session.MaxHost {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if len(label) == 0 || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Trim(label, "-") != label {
			return false
		}
	}
	return true
}

// Origin is the address of the page, as browsers write it.
func (p Page) Origin() string { return p.origin }

// Host is the name that keys are bound to (the relying party's id).
func (p Page) Host() string { return p.host }

// Key is what is kept of a passkey. None of it is secret.
type Key struct {
	ID     []byte `json:"id"`
	Public []byte `json:"public"` // PKIX
	Count  uint32 `json:"count"`  // how far it has counted; 0: it does not count
}

// Answer is what a browser brought back for a challenge.
type Answer struct {
	ID            []byte `json:"id"`
	ClientData    []byte `json:"client_data"`
	Authenticator []byte `json:"authenticator_data"`
	Signature     []byte `json:"signature"`
}

// Register reads a key that was made for this page in answer to a challenge, by somebody
// whom the key itself recognised.
func (p Page) Register(challenge [32]byte, clientData, attestation []byte) (Key, error) {
	if err := p.answers("webauthn.create", challenge, clientData); err != nil {
		return Key{}, err
	}
	if len(attestation) > maxAttestation {
		return Key{}, unreadable("what was attested is too long")
	}
	doc, err := parse(attestation)
	if err != nil {
		return Key{}, unreadable(err.Error())
	}
	raw, ok := doc.text("authData").([]byte)
	if _, named := doc.text("fmt").(string); !ok || !named {
		return Key{}, unreadable("it attests nothing")
	}
	data, err := p.authenticator(raw)
	if err != nil {
		return Key{}, err
	}
	if data.key == nil {
		return Key{}, unreadable("it holds no key")
	}
	der, err := x509.MarshalPKIXPublicKey(data.key)
	if err != nil {
		return Key{}, unreadable(err.Error())
	}
	return Key{ID: data.id, Public: der, Count: data.count}, nil
}

// Check reports how far a key has counted when an answer is its own, to this challenge, on
// this page, by somebody whom the key itself recognised. Who keeps the key keeps that count
// before the answer counts for anything.
func (p Page) Check(k Key, challenge [32]byte, a Answer) (count uint32, err error) {
	if len(k.ID) == 0 || !bytes.Equal(k.ID, a.ID) {
		return 0, denied("This passkey is not known here.", "Register it first, on this page.")
	}
	if err := p.answers("webauthn.get", challenge, a.ClientData); err != nil {
		return 0, err
	}
	data, err := p.authenticator(a.Authenticator)
	if err != nil {
		return 0, err
	}
	if data.key != nil {
		return 0, unreadable("it brings a key of its own")
	}
	public, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil {
		return 0, unreadable(err.Error())
	}
	if len(a.Signature) > maxSignature || !signed(public, a) {
		return 0, denied("The passkey's signature is not right.", "Nothing was approved. Try again; if it stays so, tell your security contact.")
	}
	if data.count <= k.Count && (data.count != 0 || k.Count != 0) {
		return 0, denied("This passkey has counted less far than it had before: there may be a copy of it, or this answer was used.",
			"Nothing was approved. Remove the passkey here, and tell your security contact.")
	}
	return data.count, nil
}

// answers reads the beginning of what a browser says that it asked a key for. Its spelling
// is the standard's (section 5.8.1.2), byte by byte: no two readers can differ over it.
func (p Page) answers(kind string, challenge [32]byte, clientData []byte) error {
	if len(clientData) > maxClientData || !json.Valid(clientData) || p.host == "" {
		return unreadable("the browser's own part cannot be read")
	}
	rest, ok := bytes.CutPrefix(clientData, []byte(`{"type":"`+kind+`","challenge":"`))
	if !ok {
		return denied("The passkey was asked for something else.", "Load the page again and start anew.")
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(base64.RawURLEncoding.EncodeToString(challenge[:])+`","origin":"`)); !ok {
		return denied("The passkey answered another question than the one asked here.", "Load the page again, read what it shows, and start anew.")
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(p.origin+`"`)); !ok {
		return denied("The passkey was used on another page than this one.", "Open "+p.origin+" and start there.")
	}
	rest, _ = bytes.CutPrefix(rest, []byte(`,"crossOrigin":false`))
	if string(rest) != "}" && !bytes.HasPrefix(rest, []byte(",")) || bytes.Contains(rest, []byte(`"crossOrigin"`)) || bytes.Contains(rest, []byte(`"topOrigin"`)) {
		return denied("The passkey was used inside another page.", "Open "+p.origin+" by itself and start there.")
	}
	return nil
}

func denied(message, next string) error {
	return &session.Error{Kind: session.Denied, Message: message, Next: next}
}

func unreadable(why string) error {
	return session.Errorf(session.Invalid, "What the passkey answered cannot be read: %s", why).
		WithNext("Load the page again and start anew, with another browser or passkey if it stays so.")
}
