// Command zitadel is identity providers that nobody here wrote (zitadel/oidc), for the
// tests of sign-ins. It is configured, and answers, as broker/web/e2e/peers/provider.mjs
// does. It is a module of its own, so that nothing of it comes near Sallyport's.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

type config struct {
	Clients []struct {
		ID        string   `json:"client_id"`
		Secret    string   `json:"client_secret"`
		Redirects []string `json:"redirect_uris"`
		Method    string   `json:"token_endpoint_auth_method"`
	} `json:"clients"`
	People map[string]map[string]any `json:"people"` // by e-mail address
	Claims []string                  `json:"claims"`
}

func main() {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	var all []config
	if err == nil {
		err = json.Unmarshal(line, &all)
	}
	issuers := make([]string, len(all))
	for i, c := range all {
		if err == nil {
			issuers[i], err = serve(c)
		}
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(issuers)
	}
	if err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, in)
}

// serve opens one provider and returns its issuer.
func serve(c config) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	issuer := "http://" + l.Addr().String()
	sum := sha256.Sum256([]byte(issuer)) // the broker's address for answers of this issuer ends with it
	for _, client := range c.Clients {
		for i := range client.Redirects {
			client.Redirects[i] = strings.ReplaceAll(client.Redirects[i], "{door}", hex.EncodeToString(sum[:4]))
		}
	}
	s := &people{Storage: storage.NewStorage(directory(c.People)), config: c}
	conf := &op.Config{CodeMethodS256: true, AuthMethodPost: true}
	_, _ = rand.Read(conf.CryptoKey[:]) // never fails
	provider, err := op.NewProvider(conf, s, op.StaticIssuer(issuer), op.WithAllowInsecure())
	if err != nil {
		return "", err
	}
	back := op.AuthCallbackURL(provider)
	mux := http.NewServeMux()
	mux.Handle("/", provider)
	mux.HandleFunc("GET /sign-in", op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("id")
		if err := s.signIn(r.Context(), id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, back(r.Context(), id), http.StatusFound)
	}))
	go func() { log.Fatal(http.Serve(l, mux)) }()
	return issuer, nil
}

// people is the example's storage, with our people and clients.
type people struct {
	*storage.Storage
	config config
}

func (p *people) signIn(ctx context.Context, id string) error {
	r, err := p.AuthRequestByID(ctx, id)
	if err != nil {
		return err
	}
	asked, ok := r.(*storage.AuthRequest)
	if !ok {
		return errors.New("another kind of request")
	}
	return p.CheckUsernamePassword(asked.LoginHint, password, id)
}

// GetClientByClientID implements op.Storage.
func (p *people) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	for _, c := range p.config.Clients {
		if c.ID == id {
			method := oidc.AuthMethod(c.Method)
			return client{storage.WebClient(c.ID, c.Secret, c.Redirects...), method}, nil
		}
	}
	return nil, errors.New("no such client")
}

// AuthorizeClientIDSecret implements op.Storage.
func (p *people) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	for _, c := range p.config.Clients {
		if c.ID == id && c.Secret == secret && secret != "" {
			return nil
		}
	}
	return errors.New("another secret")
}

// SetUserinfoFromRequest implements op.CanSetUserinfoFromRequest.
func (p *people) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	for mail, claims := range p.config.People {
		if claims["sub"] != r.GetSubject() {
			continue
		}
		info.Subject, info.Email = r.GetSubject(), mail
		info.EmailVerified = true
		for name, value := range claims {
			if slices.Contains(p.config.Claims, name) {
				info.AppendClaims(name, value)
			}
		}
	}
	return nil
}

// client is the example's, but for what it is asked and where its people sign in.
type client struct {
	*storage.Client
	method oidc.AuthMethod
}

func (c client) AuthMethod() oidc.AuthMethod          { return c.method }
func (c client) LoginURL(id string) string            { return "/sign-in?id=" + id }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c client) IsScopeAllowed(string) bool           { return true }
func (c client) DevMode() bool                        { return true }

// directory is the people, all with one password.
type directory map[string]map[string]any

const password = "only for tests"

func (d directory) user(mail string) *storage.User {
	sub, _ := d[mail]["sub"].(string)
	if sub == "" {
		return nil
	}
	return &storage.User{ID: sub, Username: mail, Password: password, Email: mail, EmailVerified: true}
}

func (d directory) GetUserByUsername(mail string) *storage.User { return d.user(mail) }

func (d directory) GetUserByID(id string) *storage.User {
	for mail, claims := range d {
		if claims["sub"] == id {
			return d.user(mail)
		}
	}
	return nil
}

func (d directory) ExampleClientID() string { return "service" }
