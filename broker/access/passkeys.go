package access

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// passkeys are those of an agent's page of which the audit log tells. The broker judges no
// approval by them; the log tells the hospital who could approve with what, and since when.
type passkeys struct {
	Site  string      `json:"site"`
	Agent string      `json:"agent"`
	Told  []toldOfKey `json:"told"` // the latest news last
	Day   string      `json:"day"`
	Today int         `json:"today"` // events of that day
}

// toldOfKey is what the log says of one.
type toldOfKey struct {
	Name    string `json:"name"`
	Revoked bool   `json:"revoked,omitempty"`
}

func passkeysID(site, agent string) string { return strings.ToLower(site) + "/" + agent }

// ReportPasskey writes into the audit log that a passkey was registered on an agent's page, or
// revoked. It may come twice; the log tells it once.
func (a *Access) ReportPasskey(ctx context.Context, site, agent string, x link.Passkey) error {
	if _, ok := a.speaksFor(x.Owner.Iss, site); !ok || !wording.Plain(x.Owner.Sub+x.Host) {
		return refusal(session.Invalid, "Look into the agent's log.", "The agent's word about the passkey %s is wrong about whose it is.", x.Name)
	}
	id := passkeysID(site, agent)
	d, err := a.docs.Get(ctx, passkeysKind, id)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	known, err := readPasskeys(d, site, agent)
	if err != nil {
		return err
	}
	events, ok := known.news(x, a.utc())
	if len(events) == 0 {
		return nil
	}
	if !ok {
		return session.Errorf(session.Unreachable, "The broker's log has heard enough of this agent's passkeys for today.").WithNext("The agent tells the rest tomorrow.")
	}
	if err := a.enter(ctx, events...); err != nil {
		return err
	}
	return a.docs.Put(ctx, passkeysKind, id, func(old []byte) ([]byte, []store.Under, error) {
		now, err := readPasskeys(store.Doc{Body: old}, site, agent)
		if err != nil {
			return nil, nil, err
		}
		now.take(x, a.utc(), len(events))
		body, err := json.Marshal(now)
		return body, nil, err
	})
}

func readPasskeys(d store.Doc, site, agent string) (passkeys, error) {
	p := passkeys{Site: site, Agent: agent}
	if len(d.Body) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(d.Body, &p); err != nil || p.Site != site || p.Agent != agent {
		return passkeys{}, session.Errorf(session.Internal, "what is known of the passkeys of %.64s of %.64s cannot be read: %w", agent, site, err)
	}
	return p, nil
}

// news are the events that the log does not have of a key, and whether it takes as many today.
func (p passkeys) news(x link.Passkey, now time.Time) (events []witness.Event, ok bool) {
	i := slices.IndexFunc(p.Told, func(k toldOfKey) bool { return k.Name == x.Name })
	add := func(what string, at time.Time) *witness.Event {
		if last := now.Add(clockSlack); at.After(last) {
			at = last
		}
		owner := x.Owner
		events = append(events, witness.Event{Event: what, Site: p.Site, Of: &owner, Details: map[string]string{
			"agent": p.Agent, "passkey": x.Name, "page": x.Host, "at": at.UTC().Format(time.RFC3339)}})
		return &events[len(events)-1]
	}
	if i < 0 {
		e := add(witness.PasskeyRegistered, x.Since)
		e.Who = e.Of // nobody else can
	}
	if !x.Until.IsZero() && (i < 0 || !p.Told[i].Revoked) {
		add(witness.PasskeyRevoked, x.Until)
	}
	return events, p.Day != day(now) || p.Today+len(events) <= maxKeyNews
}

// take notes what the log has been told.
func (p *passkeys) take(x link.Passkey, now time.Time, events int) {
	if p.Day != day(now) {
		p.Day, p.Today = day(now), 0
	}
	p.Today += events
	p.Told = slices.DeleteFunc(p.Told, func(k toldOfKey) bool { return k.Name == x.Name })
	p.Told = append(p.Told, toldOfKey{Name: x.Name, Revoked: !x.Until.IsZero()})
	p.Told = p.Told[max(0, len(p.Told)-maxToldKeys):]
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
