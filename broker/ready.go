package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/secret"
)

// ready collects what a node will need and does not have.
type ready struct {
	missing []error
	notes   []string
}

func (r *ready) miss(message, next string, err error) {
	r.missing = append(r.missing, &session.Error{Kind: session.Invalid, Message: message, Next: next, Err: err})
}

// Ready looks at all that this configuration needs - certificates, store, vault, secrets,
// the keys of the other nodes - and says what is missing. It changes nothing that stays.
func Ready(ctx context.Context, cfg Config) (missing []error, notes []string) {
	r := &ready{}
	r.certificate(cfg, time.Now())
	r.directory("state directory", cfg.State)
	r.vault(cfg)
	if n := cfg.Notify; n != nil && n.SMTP != nil {
		r.secret("The mail server's password", n.SMTP.Password)
		if _, err := n.SMTP.roots(); err != nil {
			r.miss("The mail server's authorities cannot be read", "Look at notify.smtp.ca.", err)
		}
	}
	r.store(ctx, cfg)
	if err := CheckIssuers(ctx, cfg); err != nil {
		r.missing = append(r.missing, err)
	}
	for _, i := range cfg.Issuers {
		if slices.Contains(slices.Collect(maps.Values(i.Clients)), session.Web) {
			r.notes = append(r.notes, i.URL+" sends browsers back to "+i.WebRedirect(cfg.URL)+": its client of class web needs that redirect, and no other")
		}
		if i.Reach == reachAgent {
			r.notes = append(r.notes, "The identity provider "+i.URL+" was not looked at: the running broker asks it through the agent of "+i.Sites[0]+", which needs vouch: true")
		}
	}
	return r.missing, r.notes
}

// certificate looks at the web's: that it is there, of this key, for this name, and now.
func (r *ready) certificate(cfg Config, now time.Time) {
	if cfg.TLS.Certificate == "" {
		return
	}
	for what, file := range map[string]string{"certificate": cfg.TLS.Certificate, "key": cfg.TLS.Key} {
		f, err := os.Open(file)
		if err == nil {
			_ = f.Close()
			continue
		}
		next := "deploy/README.md says where it comes from; the broker's user must be able to read it."
		if strings.HasPrefix(file, "/run/credentials/") {
			next = "What systemd hands over is there only while the unit runs, and is not renewed: name a file that the broker's user can read."
		}
		r.miss("The web's "+what+" "+file+" cannot be read", next, err)
	}
	if len(r.missing) > 0 {
		return
	}
	pair, err := tls.LoadX509KeyPair(cfg.TLS.Certificate, cfg.TLS.Key)
	if err != nil {
		r.miss("The web's certificate and key cannot be used together", "tls.certificate holds the chain, the broker's own first; tls.key holds its key.", err)
		return
	}
	leaf, u := pair.Leaf, cfg.URL
	if parsed, err := url.Parse(cfg.URL); err == nil {
		u = parsed.Hostname()
	}
	if err := leaf.VerifyHostname(u); err != nil {
		r.miss("The web's certificate is not for "+u, "People reach the broker at "+cfg.URL+": get a certificate for that name, or correct url.", err)
	}
	switch {
	case now.After(leaf.NotAfter):
		r.miss("The web's certificate expired at "+leaf.NotAfter.UTC().Format(time.RFC3339), "Put the renewed one in its place, then: systemctl reload sallyport-broker", nil)
	case now.Before(leaf.NotBefore):
		r.miss("The web's certificate begins only at "+leaf.NotBefore.UTC().Format(time.RFC3339), "Compare this machine's clock.", nil)
	case leaf.NotAfter.Sub(now) < renewSoon:
		r.notes = append(r.notes, "The web's certificate expires at "+leaf.NotAfter.UTC().Format(time.RFC3339)+"; after a renewal: systemctl reload sallyport-broker")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Intermediates: chain(pair), CurrentTime: leaf.NotBefore.Add(time.Second)}); err != nil {
		r.notes = append(r.notes, "This machine does not trust the web's certificate; people's browsers and command lines must know its authority")
	}
}

func chain(pair tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(c)
		}
	}
	return pool
}

func (r *ready) directory(what, dir string) {
	err := durable.Usable(dir, maxLooked)
	if errors.Is(err, fs.ErrNotExist) && durable.Usable(filepath.Dir(dir), 0) == nil {
		r.notes = append(r.notes, "The "+what+" "+dir+" does not exist yet and will be made")
		return
	}
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		r.miss("The "+what+" "+dir+" does not exist", "Make it for the broker's user: install -d -m 0700 -o sallyport-broker -g sallyport-broker "+dir, nil)
	default:
		r.miss("The "+what+" "+dir+" cannot be used by the broker's user", "Give it to that user with all that is in it: chown -R sallyport-broker: "+dir, err)
	}
}

func (r *ready) vault(cfg Config) {
	if _, err := os.Stat(cfg.Vault); errors.Is(err, fs.ErrNotExist) && filepath.Dir(cfg.Vault) == filepath.Clean(cfg.State) {
		return // made beside the keys
	}
	r.directory("vault", cfg.Vault)
	if oneDisk(cfg.State, cfg.Vault) {
		r.notes = append(r.notes, "The vault is on the disk of the state directory: recordings that fill it, and whatever else is there, stop each other. Give it a disk of its own")
	}
}

func (r *ready) secret(what string, s secret.Reference) {
	if s.IsZero() {
		return
	}
	unknown, err := s.Try()
	switch {
	case unknown:
		r.notes = append(r.notes, fmt.Sprintf("%s (%s) was not looked at: systemd hands it over only when it starts the broker", what, s))
	case err != nil:
		r.miss(what+" cannot be read", "Put it there, readable for the broker's user alone.", err)
	}
}

// store asks the store for all that the broker asks it for.
func (r *ready) store(ctx context.Context, cfg Config) {
	r.secret("The store's password", cfg.Redis.Password)
	if unknown, err := cfg.Redis.Password.Try(); !cfg.Redis.Password.IsZero() && (unknown || err != nil) {
		return
	}
	st, err := openStore(ctx, cfg, quiet())
	if err != nil {
		r.missing = append(r.missing, err)
		return
	}
	defer st.Close()
	if cfg.Redis.Everysec {
		r.notes = append(r.notes, mayLose)
	}
	if err := st.Try(ctx); err != nil {
		r.missing = append(r.missing, err)
		return
	}
	unknown, err := checkNodes(ctx, cfg, st)
	if err != nil {
		r.missing = append(r.missing, err)
	}
	if unknown != "" {
		r.notes = append(r.notes, "Its keys were not compared with those of other nodes: "+unknown)
	}
}
