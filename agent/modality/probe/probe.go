// Package probe asks a scanner itself how it stands: a page of its status, or a port that
// answers. It reaches no other address than the one it is given, follows no redirect and
// bounds what it reads. A device's word only restricts; what it says that nobody has given
// a meaning, or that it does not answer, is unknown.
package probe

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Config is what is asked, and what answers mean.
type Config struct {
	Address string // of an endpoint of the asset
	Port    int
	Path    string // of its status page, "/status"; "": that the port takes a connection is enough
	Pin     string // "sha256:..." of its certificate; with it the page is asked for by https
	// Field is where the state stands in an answer of JSON, "modality.state"; "": the words
	// are looked for anywhere in the answer.
	Field string
	// States are what the device's words mean. Without any, an answer has nothing against a
	// session.
	States map[string]session.ModalityState
}

// Probe asks one device.
type Probe struct {
	cfg    Config
	client *http.Client
	url    string
}

// New checks what is to be asked; it asks nothing.
func New(cfg Config) (*Probe, error) {
	p := &Probe{cfg: cfg}
	switch {
	case cfg.Address == "" || cfg.Port < 1 || cfg.Port > 65535:
		return nil, errors.New("a probe asks a port of an endpoint of this asset")
	case cfg.Path == "" && (cfg.Pin != "" || cfg.Field != "" || len(cfg.States) > 0):
		return nil, errors.New("without a page there is no answer to read")
	case cfg.Field != "" && len(cfg.States) == 0:
		return nil, errors.New("what the field says needs a meaning: states")
	case len(cfg.Path) > maxPath || len(cfg.States) > maxWords || len(cfg.Field) > maxPath:
		return nil, errors.New("that is too long for a probe")
	}
	for word, state := range cfg.States {
		if word == "" || !slices.Contains(session.ModalityStates(), state) {
			return nil, fmt.Errorf("a word of the device means one of %v", session.ModalityStates())
		}
	}
	if cfg.Path == "" {
		return p, nil
	}
	at, err := url.ParseRequestURI(cfg.Path)
	if err != nil || at.IsAbs() || at.Host != "" || !strings.HasPrefix(cfg.Path, "/") || strings.HasPrefix(cfg.Path, "//") {
		return nil, errors.New(`the page of a probe is a path, "/status"`)
	}
	at.Scheme, at.Host = "http", p.target()
	t := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer, DialContext: p.dial}
	if cfg.Pin != "" {
		at.Scheme = "https"
		if t.TLSClientConfig, err = pinned(cfg.Pin); err != nil {
			return nil, err
		}
	}
	p.url = at.String()
	p.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return p, nil
}

// pinned trusts one certificate, and no authority.
func pinned(pin string) (*tls.Config, error) {
	want, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(pin, "sha256:"), ":", ""))
	if err != nil || len(want) != sha256.Size || !strings.HasPrefix(pin, "sha256:") {
		return nil, errors.New(`a pin looks like "sha256:..." with 64 digits`)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error { // it is the pin that verifies
		if got := sha256.Sum256(s.PeerCertificates[0].Raw); string(got[:]) != string(want) {
			return errors.New("it shows another certificate than the one that is pinned")
		}
		return nil
	}}, nil
}

func (p *Probe) target() string { return net.JoinHostPort(p.cfg.Address, strconv.Itoa(p.cfg.Port)) }

// dial reaches the device and nobody else, whatever a page says.
func (p *Probe) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, p.target())
}

// Run tells what the device says until ctx ends.
func (p *Probe) Run(ctx context.Context, tell func(state session.ModalityState, detail string)) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		state, detail := p.Ask(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tell(state, detail)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Ask asks once.
func (p *Probe) Ask(ctx context.Context) (session.ModalityState, string) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if p.client == nil {
		conn, err := p.dial(ctx, "tcp", "")
		if err != nil {
			return silent(err)
		}
		_ = conn.Close()
		return session.InService, "the device answers"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return silent(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return silent(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return silent(err)
	case resp.StatusCode != http.StatusOK:
		return session.ModalityUnknown, fmt.Sprintf("the device answers with status %d", resp.StatusCode)
	case len(body) > maxAnswer:
		return session.ModalityUnknown, "the device's answer is too long"
	case len(p.cfg.States) == 0:
		return session.InService, "the device answers"
	}
	return p.read(body)
}

func silent(err error) (session.ModalityState, string) {
	var wrapped *url.Error // it has the address, which is nobody's business
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return session.ModalityUnknown, "the device does not answer: " + wording.Line(err.Error(), maxDetail)
}

// read gives the answer its meaning. Where several words are found, the strictest counts.
func (p *Probe) read(body []byte) (session.ModalityState, string) {
	has := func(word string) bool { return strings.Contains(string(body), word) }
	if p.cfg.Field != "" {
		said, ok := field(body, p.cfg.Field)
		if !ok {
			return session.ModalityUnknown, "the device's answer has no such field"
		}
		has = func(word string) bool { return word == said }
	}
	strictest, found := -1, ""
	for _, word := range slices.Sorted(maps.Keys(p.cfg.States)) {
		if at := slices.Index(session.ModalityStates(), p.cfg.States[word]); has(word) && at > strictest {
			strictest, found = at, word
		}
	}
	if strictest < 0 {
		return session.ModalityUnknown, "the device says what has no meaning here"
	}
	return session.ModalityStates()[strictest], "the device says " + wording.Line(found, maxDetail)
}

// field finds a value in JSON by the names that lead to it.
func field(body []byte, path string) (string, bool) {
	var at any
	if json.Unmarshal(body, &at) != nil {
		return "", false
	}
	for _, name := range strings.Split(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", false
		}
		if at, ok = object[name]; !ok {
			return "", false
		}
	}
	switch v := at.(type) {
	case string:
		return v, true
	case bool, float64:
		return fmt.Sprint(v), true
	}
	return "", false
}
