package idtoken

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/session"
)

// Options say how one issuer is reached. The zero value reaches it directly.
type Options struct {
	// Dial makes the TCP connection, or relays one; TLS is ours, on top of it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Through, instead of Dial, reaches somebody who asks the issuer for us and speaks TLS
	// with it: the answers are as good as their word.
	Through func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are the authorities to trust instead of the system's.
	Roots *x509.CertPool
	// MaxStale is how long keys count that could not be refreshed; default 24 h.
	// It is also how long a withdrawn key lives when somebody withholds updates.
	MaxStale time.Duration
	// Patience is how long a token with an unknown key id may wait for the next
	// permitted refresh, context permitting; default 0: it is answered at once.
	Patience time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// KeySet is one issuer's signing keys: fetched at most once in minGap, fresh for an
// hour, counting for MaxStale when the issuer cannot be reached, then not at all.
// Only RSA, P-256 and Ed25519 signature keys with a key id count. Safe for concurrent use.
type KeySet struct {
	issuer  session.Issuer
	clients []string // that count, of all entries of the issuer
	base    *url.URL
	opts    Options
	client  *http.Client
	flight  chan struct{} // holds one token: whoever has it may fetch

	mu    sync.Mutex
	state keyState // replaced whole, never changed
}

// keyState is what one fetch left behind.
type keyState struct {
	keys    map[string][]signingKey // by kid
	fetched time.Time               // last success; zero: never
	tried   time.Time               // last attempt
	failure error                   // of the last attempt
	skew    time.Duration           // our clock minus the issuer's
	skewed  bool                    // skew is known
}

// signingKey is one usable key of an issuer.
type signingKey struct {
	id  string
	alg string // "" when the issuer does not say
	key any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	jwk []byte // for the record
}

// NewKeySet prepares the keys of a pinned issuer. Nothing is fetched yet.
func NewKeySet(issuer session.Issuer, o Options) (*KeySet, error) {
	base, err := issuerURL(issuer)
	if err != nil {
		return nil, err
	}
	if issuer.JWKS != "" {
		if _, err := documentURL(issuer, issuer.JWKS); err != nil {
			return nil, err
		}
	}
	if o.MaxStale <= 0 {
		o.MaxStale = maxStale
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &KeySet{issuer: issuer, clients: issuer.Ids(), base: base, opts: o, client: Client(issuer, o), flight: make(chan struct{}, 1)}, nil
}

// Issuer is whose keys these are.
func (k *KeySet) Issuer() string { return k.issuer.URL }

// Skew is our clock minus the issuer's, as far as its last answer shows; known is
// false until there was one.
func (k *KeySet) Skew() (skew time.Duration, known bool) {
	s := k.snapshot()
	return s.skew, s.skewed
}

// Check fetches the keys, if that is allowed now, and says until when they count and
// why they could not be fetched. It is how an operator asks whether an issuer works.
func (k *KeySet) Check(ctx context.Context) (until time.Time, err error) {
	s := k.refresh(ctx, k.snapshot())
	if !s.fetched.IsZero() {
		until = s.fetched.Add(k.opts.MaxStale)
	}
	if s.failure == nil && s.fetched.IsZero() {
		return until, unreachable(s, k.opts.Now())
	}
	return until, s.failure
}

// verify checks a signature with the one key that the token's header names.
func (k *KeySet) verify(ctx context.Context, jwt string) ([]byte, signingKey, error) {
	jws, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA})
	if err != nil || len(jws.Signatures) != 1 {
		return nil, signingKey{}, malformed("The sign-in token cannot be read.", err)
	}
	header := jws.Signatures[0].Header
	key, err := k.find(ctx, header.KeyID, header.Algorithm)
	if err != nil {
		return nil, signingKey{}, err
	}
	payload, err := jws.Verify(key.key)
	if err != nil {
		return nil, signingKey{}, malformed("The signature of the sign-in token is wrong.", err)
	}
	return payload, key, nil
}

// find returns the key with an id, after at most one refresh, or after a second one
// when the caller has the patience.
func (k *KeySet) find(ctx context.Context, kid, alg string) (signingKey, error) {
	first := k.snapshot()
	s := first
	if !s.fresh(k.opts.Now()) {
		s = k.refresh(ctx, s)
	}
	if !s.usable(k.opts.Now(), k.opts.MaxStale) {
		return signingKey{}, unreachable(s, k.opts.Now())
	}
	if key, found := s.find(kid, alg); found {
		return key, nil
	}
	seen := s
	s = k.refresh(ctx, s)
	if s.tried.Equal(seen.tried) && k.wait(ctx, s.next(k.opts.Now())) {
		s = k.refresh(ctx, s)
	}
	if key, found := s.find(kid, alg); found && s.usable(k.opts.Now(), k.opts.MaxStale) {
		return key, nil
	}
	if !s.fetched.Equal(first.fetched) { // just asked: there is no such key
		return signingKey{}, malformed("The sign-in token is signed with a key that its identity provider does not publish.", nil)
	}
	return signingKey{}, changing(s, k.opts.Now())
}

// refresh fetches the keys unless somebody did since seen, or it is too early; it
// returns the newest state. One caller fetches, the others wait for it. The fetch
// outlives its caller's context, or whoever hangs up early would use up the
// one refresh that is allowed for everybody.
func (k *KeySet) refresh(ctx context.Context, seen keyState) keyState {
	if seen.next(k.opts.Now()) > 0 {
		return seen
	}
	select {
	case k.flight <- struct{}{}:
		defer func() { <-k.flight }()
	case <-ctx.Done():
		return seen
	}
	s := k.snapshot()
	if !s.tried.Equal(seen.tried) {
		return s
	}
	s.tried = k.opts.Now()
	got, err := k.fetch(context.WithoutCancel(ctx))
	if s.failure = err; err == nil {
		s.keys, s.fetched = got.keys, k.opts.Now()
		s.skew, s.skewed = got.skew, got.skewed
	}
	k.mu.Lock()
	k.state = s
	k.mu.Unlock()
	return s
}

func (k *KeySet) snapshot() keyState {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// wait sleeps for d if the caller's patience and context allow it.
func (k *KeySet) wait(ctx context.Context, d time.Duration) bool {
	deadline, has := ctx.Deadline()
	if d > k.opts.Patience || has && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fresh reports whether the keys need not be asked for. A clock that was found
// wrong is measured again as soon as that is allowed.
func (s keyState) fresh(now time.Time) bool {
	return !s.fetched.IsZero() && elapsed(s.fetched, now) < fresh && s.skew.Abs() <= MaxSkew
}

// usable reports whether there are keys that still count.
func (s keyState) usable(now time.Time, limit time.Duration) bool {
	return !s.fetched.IsZero() && elapsed(s.fetched, now) <= limit
}

// next is how long it takes until a refresh is allowed.
func (s keyState) next(now time.Time) time.Duration {
	gap := minGap
	switch {
	case s.tried.IsZero():
		return 0
	case s.fetched.IsZero():
		gap = coldGap
	}
	return gap - elapsed(s.tried, now)
}

// find returns the one key with an id that fits an algorithm; two of them are none.
func (s keyState) find(kid, alg string) (signingKey, bool) {
	var found []signingKey
	for _, key := range s.keys[kid] {
		if key.fits(alg) {
			found = append(found, key)
		}
	}
	if kid == "" || len(found) != 1 {
		return signingKey{}, false
	}
	return found[0], true
}

// elapsed is the longer of what the monotonic and the wall clock say: the first
// stands still while a machine sleeps, the second can be set back.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

func unreachable(s keyState, now time.Time) error {
	err := s.failure
	var refused *session.Error
	if errors.Is(err, ErrPairwise) && errors.As(err, &refused) {
		return refused // it answered, and is not one that can be used
	}
	if err == nil {
		err = errors.New("too old")
	}
	return &session.Error{
		Kind:    session.Unreachable,
		Message: "The identity provider's signing keys could not be fetched.",
		Next:    "Check that the identity provider can be reached" + tryAgain(s, now),
		Err:     err,
	}
}

func changing(s keyState, now time.Time) error {
	return &session.Error{
		Kind:    session.Unreachable,
		Message: "The sign-in token is signed with a key that is not known yet; the identity provider's keys are being refreshed.",
		Next:    "If the identity provider has just changed its keys, wait a little" + tryAgain(s, now),
		Err:     s.failure,
	}
}

func tryAgain(s keyState, now time.Time) string {
	return fmt.Sprintf(", then try again (possible in %d s).", int(max(s.next(now), 0).Round(time.Second).Seconds()))
}
