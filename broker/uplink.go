package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/sshd"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
)

// What agents say, handed to the room it concerns: link.BrokerHandler. Site and
// agent come from the certificate, so an agent speaks for its own site only.

// Hello takes an agent in. A store that is away turns nobody out: the agent's live
// sessions would end with its link. What it announced is written down later.
func (b *Broker) Hello(ctx context.Context, h link.Hello) error {
	a := arrival{site: h.Site, agent: h.Agent}
	if err := b.access.Announce(ctx, h); err != nil {
		if session.KindOf(err) != session.Unreachable {
			return err
		}
		b.log.Warn("an agent is taken in without the store", "site", h.Site, "agent", h.Agent, "err", err)
		a.hello = &h
	}
	select {
	case b.arrived <- a:
	default: // a storm of arrivals: session reports settle what they concern
		if a.hello != nil { // and nothing else would announce this one
			return session.Errorf(session.Unreachable, "The broker's store did not answer.").WithNext("The agent tries again by itself.")
		}
	}
	return nil
}

// arrival is an agent that dialled in and is owed whatever it missed.
type arrival struct {
	site, agent string
	hello       *link.Hello // still to be announced
}

// settleAgain is how long what could not be settled waits for the store.
const settleAgain = time.Second

// settleArrivals tells agents what they missed, each once its connection serves.
// What the store cannot do now is tried until it can or the agent has left.
func (b *Broker) settleArrivals(ctx context.Context) error {
	var late []arrival
	again := time.NewTicker(settleAgain)
	defer again.Stop()
	for {
		var todo []arrival
		select {
		case <-ctx.Done():
			return nil
		case a := <-b.arrived:
			// A newer word of the same agent replaces what it said before.
			late = slices.DeleteFunc(late, func(old arrival) bool { return old.site == a.site && old.agent == a.agent })
			todo = []arrival{a}
		case <-again.C:
			todo, late = late, nil
		}
		for i, a := range todo {
			if !b.settleOne(ctx, &a) {
				late = append(late, a)
				late = append(late, todo[i+1:]...) // the store is away for them too
				break
			}
		}
	}
}

// settleOne reports whether nothing is left to do for an arrival.
func (b *Broker) settleOne(ctx context.Context, a *arrival) bool {
	if !b.awaitOnline(ctx, *a) {
		return true
	}
	if a.hello != nil {
		err := b.access.Announce(ctx, *a.hello)
		if session.KindOf(err) == session.Unreachable && err != nil {
			return false
		}
		if err != nil {
			b.log.Error("an agent's announcement is refused", "site", a.site, "agent", a.agent, "err", err)
		}
		a.hello = nil
	}
	b.appended(witness.Event{Site: a.site}) // it gets the log's checkpoint now
	err := b.access.Settle(ctx, a.site, a.agent)
	if err != nil {
		b.log.Warn("an agent could not be told what it missed", "site", a.site, "agent", a.agent, "err", err)
	}
	return err == nil || session.KindOf(err) != session.Unreachable
}

func (b *Broker) awaitOnline(ctx context.Context, a arrival) bool {
	for range 100 {
		if b.fleet.Online(a.site, a.agent) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

func (b *Broker) Report(ctx context.Context, site, agent string, r link.SessionReport) error {
	return b.access.ReportSession(ctx, site, agent, r)
}

// Put stores one part and lists it. The vault is written first: what is listed can
// be fetched.
func (b *Broker) Put(ctx context.Context, site, agent string, p link.Put, body io.Reader) error {
	id, err := session.ParseRecordingID(p.Recording)
	if err != nil {
		return err
	}
	var small []byte
	if p.Part == recordings.HeaderPart || p.Part == recordings.SealPart {
		if p.Size > maxSmallPart {
			return session.Errorf(session.Invalid, "The %s of a recording is at most %d bytes", p.Part, maxSmallPart)
		}
		if small, err = io.ReadAll(io.LimitReader(body, p.Size)); err != nil {
			return fmt.Errorf("receive the %s of %s: %w", p.Part, p.Recording, err)
		}
		body = bytes.NewReader(small)
	}
	if p.Part == recordings.HeaderPart {
		if err := b.listRecording(ctx, site, agent, p, small); err != nil {
			return err
		}
	}
	if _, segment := recordings.Segment(p.Part); segment {
		if body, err = b.checked(ctx, site, p, body); err != nil {
			return err
		}
	}
	err = b.vault.Put(ctx, vault.Part{Site: site, Recording: p.Recording, Name: p.Part, Size: p.Size, SHA256: p.SHA256}, body)
	if errors.Is(err, vault.ErrConflict) {
		return fmt.Errorf("%w: %w", link.ErrConflict, err)
	}
	if err != nil {
		return err
	}
	if err := b.access.AppendPart(ctx, site, agent, id, p.Part, p.Size); err != nil {
		return err
	}
	if p.Part != recordings.SealPart {
		return nil
	}
	seal, err := recordings.ReadSeal(small)
	if err != nil {
		return err
	}
	return b.access.Seal(ctx, site, agent, id, access.Seal{Ended: seal.Ended, Torn: seal.State == recordings.Torn, SHA256: p.SHA256,
		Reason: seal.Reason})
}

// checked holds a segment against what the recording's own key signed for it. While no
// header has arrived that key is not known, and the segment is held against itself.
func (b *Broker) checked(ctx context.Context, site string, p link.Put, body io.Reader) (io.Reader, error) {
	_, key, err := b.signerOf(ctx, site, p.Recording)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return recordings.Arriving(p.Part, p.Size, key, body)
}

// listRecording lists a recording by its header, which must be the sender's own.
func (b *Broker) listRecording(ctx context.Context, site, agent string, p link.Put, part []byte) error {
	h, err := recordings.ReadHeader(part)
	if err != nil {
		return err
	}
	if h.Recording != p.Recording || h.Site != site {
		return session.Errorf(session.Denied, "The header names recording %s of site %s", h.Recording, h.Site)
	}
	of, err := session.ParseSessionID(h.Session)
	if err != nil {
		return err
	}
	return b.access.StartRecording(ctx, site, agent, of, link.RecordingReport{Recording: h.Recording, Service: h.Service, Protocol: h.Protocol, Started: h.Started})
}

// relayDial is how long an issuer may take to answer a connection.
const relayDial = 10 * time.Second

// Relay connects an agent to an issuer of its site. The agent speaks TLS through it.
func (b *Broker) Relay(ctx context.Context, site, agent, issuer string) (net.Conn, error) {
	if b.cfg.serves(issuer, site) {
		u, err := url.Parse(issuer)
		if err != nil {
			return nil, err
		}
		port := u.Port()
		if port == "" {
			port = "443"
		}
		b.log.Debug("relay to an issuer", "site", site, "agent", agent, "issuer", issuer)
		return (&net.Dialer{Timeout: relayDial}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	}
	return nil, session.Errorf(session.Denied, "The broker knows no identity provider %.200q of site %s", issuer, site).
		WithNext("Add it to the broker's configuration.")
}

// once is the store as the fleet wants it: things that can be taken one time.
type once struct{ st *store.Store }

func (o once) Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration) error {
	return o.st.Create(ctx, kind, id, body, ttl)
}

func (o once) Take(ctx context.Context, kind, id string) ([]byte, error) {
	doc, err := o.st.Take(ctx, kind, id)
	return doc.Body, err
}

// routes is access as the jump host wants it.
type routes struct{ access *access.Access }

func (r routes) KeyOwner(ctx context.Context, line string) (session.Identity, string, error) {
	owner, err := r.access.KeyOwner(ctx, line)
	return owner.Identity, owner.Request.Request(), err
}

func (r routes) Route(ctx context.Context, engineer session.Identity, of session.Target) (sshd.Route, error) {
	to, err := r.access.Route(ctx, engineer, of)
	return sshd.Route{Site: to.Site, Agent: to.Agent, Asset: to.Asset, Service: to.Service, Session: to.Session.Session()}, err
}

func (r routes) Barred(ctx context.Context, engineer session.Identity, site string) (bool, error) {
	return r.access.Barred(ctx, engineer, site)
}

// tokens checks sign-ins with the issuers' own keys.
type tokens struct{ keys *idtoken.KeySets }

func newTokens(issuers []Issuer) (tokens, error) {
	var all []session.Issuer
	for _, iss := range issuers {
		all = append(all, iss.Issuer)
	}
	// At the broker keys count for an hour without a refresh: it has the internet.
	keys, err := idtoken.NewKeySets(all, func(session.Issuer) idtoken.Options { return idtoken.Options{MaxStale: time.Hour} })
	return tokens{keys}, err
}

func (t tokens) Verify(ctx context.Context, issuer, compact string, e idtoken.Expect) (idtoken.Claims, error) {
	keys, ok := t.keys.For(issuer)
	if !ok {
		return idtoken.Claims{}, session.Errorf(session.Denied, "The broker does not know the identity provider %.200q", issuer)
	}
	return idtoken.Verify(ctx, keys, compact, e)
}
