package main

// SWAP HERE. Everything that this command needs of session/grant's documents,
// hashes, nonces and verifier, and of session/idtoken's key sets, is in this file.
// It follows the formulas of the format to the letter, so that replacing each body
// by the call named beside it changes nothing else.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

const maxDocument = 4096

func marshalRequest(r grant.Request) ([]byte, error) { return canonical(r) } // r.Marshal()

func marshalGrant(g grant.Grant) ([]byte, error) { return canonical(g) } // g.Marshal()

func parseRequest(doc []byte) (grant.Request, error) { // grant.ParseRequest(doc)
	return parse[grant.Request](doc, "request")
}

func parseGrant(doc []byte) (grant.Grant, error) { // grant.ParseGrant(doc)
	return parse[grant.Grant](doc, "grant")
}

func requestHash(doc []byte) [32]byte { // grant.RequestHash(doc)
	return sha256.Sum256(append([]byte("sallyport/request/v1\x00"), doc...))
}

func grantHash(doc []byte) [32]byte { // grant.GrantHash(doc)
	return sha256.Sum256(append([]byte("sallyport/grant/v1\x00"), doc...))
}

func nonce(role grant.Role, subject, extra, salt [32]byte) string { // grant.Nonce(role, subject, extra, salt)
	b := []byte("sallyport/v1/" + string(role) + "\x00")
	b = append(append(append(b, subject[:]...), extra[:]...), salt[:]...)
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// verifier is what an approver's machine checks an engineer's request with.
type verifier interface {
	CheckRequestAsMinted(ctx context.Context, doc []byte, p grant.Proof) (grant.Request, grant.Receipt, error)
}

func newVerifier(t session.Trust) (verifier, error) { // grant.NewConsole(t, keys) over idtoken.NewKeySets(t.Issuers, ...)
	return plainVerifier{trust: t}, nil
}

func within(g grant.Grant, r grant.Request) error { // grant.Within(g, r)
	narrower := g.Site == r.Site && g.Asset == r.Asset && subset(g.Services, r.Services) && g.Class.Within(r.Class) &&
		subset(g.Channels, r.Channels) && g.NBF >= r.NBF && g.EXP <= r.EXP && g.MaxS <= r.MaxS
	if !narrower {
		return session.Errorf(session.Refused, "The grant goes beyond what the engineer asked for").WithNext("Do not approve it. Tell your security contact.")
	}
	return nil
}

func subset[S comparable](part, whole []S) bool {
	for _, s := range part {
		if !slices.Contains(whole, s) {
			return false
		}
	}
	return len(part) > 0
}

func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	doc := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(doc) > maxDocument {
		return nil, session.Errorf(session.Invalid, "This makes a document of %d bytes, and %d is the limit", len(doc), maxDocument).WithNext("Shorten the reason.")
	}
	return doc, nil
}

func parse[T any](doc []byte, noun string) (T, error) {
	var v, zero T
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	err := d.Decode(&v)
	if err == nil {
		var again []byte
		if again, err = canonical(v); err == nil && !bytes.Equal(again, doc) {
			err = fmt.Errorf("it is not in canonical form")
		}
	}
	if err != nil || len(doc) > maxDocument {
		return zero, session.Errorf(session.Invalid, "The %s is not a valid document: %w", noun, err).WithNext("Nothing was approved. Ask the engineer to request again.")
	}
	return v, nil
}

// plainVerifier checks with go-oidc's remote key set.
type plainVerifier struct{ trust session.Trust }

func (v plainVerifier) CheckRequestAsMinted(ctx context.Context, doc []byte, p grant.Proof) (grant.Request, grant.Receipt, error) {
	refuse := func(why string, err error) (grant.Request, grant.Receipt, error) {
		return grant.Request{}, grant.Receipt{}, &session.Error{Kind: session.Refused, Message: "This request does not hold: " + why,
			Next: "Do not approve it. Tell your security contact if it happens again.", Err: err}
	}
	request, err := parseRequest(doc)
	if err != nil {
		return grant.Request{}, grant.Receipt{}, err
	}
	issuer, clients := session.Issuer{}, []string(nil)
	for _, i := range v.trust.Issuers {
		if i.URL == request.Eng.Iss && i.Side == session.VendorSide {
			issuer = i
		}
	}
	for id, class := range issuer.Clients {
		if class == session.CLI || class == session.Web {
			clients = append(clients, id)
		}
	}
	if issuer.URL == "" || request.Site != v.trust.Site || len(p.Salt) != 32 {
		return refuse("its engineer's identity provider or its site is not in your trust bundle", nil)
	}
	ctx = oidc.ClientContext(ctx, &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
	provider, err := oidc.NewProvider(ctx, issuer.URL)
	if err != nil {
		return grant.Request{}, grant.Receipt{}, &session.Error{Kind: session.Unreachable, Message: "The engineer's identity provider " + issuer.URL + " does not answer",
			Next: "Check the network and run the command again; nothing was approved.", Err: err}
	}
	// Expiry was judged when the token came in, by the agent.
	token, err := provider.Verifier(&oidc.Config{SkipClientIDCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: []string{oidc.RS256}}).Verify(ctx, p.Token)
	if err != nil {
		return refuse("its engineer's sign-in is not signed by "+issuer.URL, err)
	}
	var said struct {
		Email string `json:"email"`
		Name  string `json:"name"`
		Auth  int64  `json:"auth_time"`
	}
	if err := token.Claims(&said); err != nil {
		return refuse("its engineer's sign-in cannot be read", err)
	}
	if len(token.Audience) != 1 || !slices.Contains(clients, token.Audience[0]) || token.Subject != request.Eng.Sub || token.Subject == "" ||
		token.Nonce != nonce(grant.RoleRequest, requestHash(doc), [32]byte{}, [32]byte(p.Salt)) {
		return refuse("the engineer signed something else", nil)
	}
	return request, grant.Receipt{Role: grant.RoleRequest, Proof: p, Client: issuer.Clients[token.Audience[0]], IssuedAt: token.IssuedAt,
		Person: session.Person{Identity: request.Eng, Email: said.Email, Name: said.Name}, Subject: requestHash(doc)}, nil
}
