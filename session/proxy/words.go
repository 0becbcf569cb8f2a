package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Fault is an error of which a proxy is the reason.
type Fault struct{ Said *session.Error }

func (f *Fault) Error() string { return f.Said.Error() }
func (f *Fault) Unwrap() error { return f.Said }

func says(err error, message, next string) error {
	return &Fault{&session.Error{Kind: session.Unreachable, Message: message, Next: next, Err: err}}
}

// Resigned reports who signed a certificate that this machine does not trust: where
// something on the way opens TLS, it is the authority of that.
func Resigned(err error) (signer string, ok bool) {
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	if !errors.As(err, &cert) || !errors.As(err, &authority) || len(cert.UnverifiedCertificates) == 0 {
		return "", false
	}
	return Signer(cert.UnverifiedCertificates[0]), true
}

func unreached(at string, err error) error {
	var dns *net.DNSError
	next := "Check the proxy's address with the hospital's IT: proxy.url in the configuration, or HTTPS_PROXY."
	switch {
	case errors.As(err, &dns):
		return says(err, "DNS does not know the proxy "+at, next)
	case errors.Is(err, syscall.ECONNREFUSED):
		return says(err, "The proxy "+at+" refuses connections", next)
	}
	return says(err, "The proxy "+at+" cannot be reached", next)
}

func silent(at string, err error) error {
	return says(err, "The proxy "+at+" took the connection and did not answer", "Check its address and port with the hospital's IT; a proxy that wants TLS is written https://.")
}

// unproved says why an https proxy is not taken for the one that is meant.
func unproved(at string, err error) error {
	var plain tls.RecordHeaderError
	var cert *tls.CertificateVerificationError
	signer, resigned := Resigned(err)
	switch {
	case errors.As(err, &plain):
		return says(err, "The proxy "+at+" does not speak TLS", "Write its URL with http:// instead of https://.")
	case resigned:
		return says(err, fmt.Sprintf("The proxy's own certificate is signed by %s, which this machine does not trust", signer),
			"Get that authority's certificate from the hospital's IT and name its file as proxy.ca.")
	case errors.As(err, &cert):
		return says(err, "The certificate of the proxy "+at+" is not valid now, or not for that name", "Compare this machine's clock and the name in the proxy's URL.")
	}
	return says(err, "The proxy "+at+" and this machine find no TLS in common", "Ask the hospital's IT which TLS versions the proxy speaks; 1.2 is needed.")
}

// Signer is who signed a certificate, as a person reads it.
func Signer(c *x509.Certificate) string { return wording.Line(c.Issuer.String(), 120) }

func noProxy(at string, first byte, err error) error {
	if first == 0x15 { // a TLS alert
		return says(err, "The proxy "+at+" wants TLS", "Write its URL with https:// instead of http://.")
	}
	return says(err, "What answers at "+at+" is no HTTP proxy", "Check the proxy's address and port with the hospital's IT.")
}

// judge turns everything but an open tunnel into a sentence.
func (d *Dialer) judge(r *http.Response, at, address string) error {
	cause := fmt.Errorf("the proxy answered %s", wording.Line(r.Status, 80))
	page := strings.HasPrefix(r.Header.Get("Content-Type"), "text/html")
	ask := "Ask the hospital's IT to let this machine through the proxy to " + address + ", without sign-in page and without TLS inspection."
	switch code := r.StatusCode; {
	case code/100 == 2 && !page && r.ContentLength <= 0:
		return nil
	case code == http.StatusProxyAuthRequired:
		return d.unadmitted(r, at, address, cause)
	case code/100 == 2, code/100 == 3, code == http.StatusNetworkAuthenticationRequired:
		from := ""
		if u, err := url.Parse(r.Header.Get("Location")); err == nil && u.Host != "" {
			from = " (" + wording.Line(u.Host, 80) + ")"
		}
		return says(cause, "The proxy "+at+" answers with a page"+from+" where a person would sign in or agree, instead of connecting", ask)
	case code == http.StatusForbidden, code == http.StatusMethodNotAllowed, code == http.StatusUnauthorized, code == http.StatusUnavailableForLegalReasons:
		return says(cause, "The proxy "+at+" does not let this machine through to "+address, ask)
	case code/100 == 5:
		return says(cause, "The proxy "+at+" could not reach "+address+" itself", "Check that address; if it is right, ask the hospital's IT whether the proxy knows its name and is let out to it.")
	}
	return says(cause, fmt.Sprintf("The proxy %s answered %d instead of connecting to %s", at, r.StatusCode, address), ask)
}

// unadmitted says what a proxy wants to know before it connects.
func (d *Dialer) unadmitted(r *http.Response, at, address string, cause error) error {
	var schemes []string
	for _, h := range r.Header.Values("Proxy-Authenticate") {
		scheme, _, _ := strings.Cut(strings.TrimSpace(h), " ")
		schemes = append(schemes, wording.Line(scheme, 20))
	}
	basic := slices.ContainsFunc(schemes, func(s string) bool { return strings.EqualFold(s, "Basic") })
	switch {
	case basic && d.password != nil:
		return says(cause, fmt.Sprintf("The proxy %s does not accept the user %s with this password", at, wording.Line(d.user, 60)), "Compare user and password with the hospital's IT.")
	case basic:
		return says(cause, "The proxy "+at+" asks for a user and a password", "Get them from the hospital's IT and set proxy.user and proxy.password, or name them in HTTPS_PROXY.")
	case len(schemes) == 0:
		return says(cause, "The proxy "+at+" asks for a sign-in and does not say of which kind", "Ask the hospital's IT for an exception for "+address+" without sign-in.")
	}
	return says(cause, fmt.Sprintf("The proxy %s wants %s, with which only a domain's machines sign in; Sallyport speaks Basic alone", at, strings.Join(schemes, " or ")),
		"Ask the hospital's IT to let this machine through to "+address+" without sign-in, or with Basic.")
}
