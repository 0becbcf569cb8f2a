package api

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/notify"
	"github.com/sallyport/sallyport/broker/turns"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// mailbox takes mails and loses them.
type mailbox struct{}

func (mailbox) Send(context.Context, notify.Mail) error { return nil }

// mails is the row of a site's post: of ada's requests the site is told together, of others'
// one by one.
func mails() bound {
	tell := func(w *world, who string) bool {
		o, err := notify.New(notify.Config{URL: broker, Mailer: mailbox{}, Documents: w.store, Queue: w.store, Now: w.clock,
			Approvers: map[string][]string{"NGH": {"maya@northfield.example"}}, Log: slog.New(slog.DiscardHandler)})
		w.must(err)
		count := func() int {
			all, _, err := w.store.Page(w.t.Context(), "mail", []string{"due"}, "", 0)
			w.must(err)
			return len(all)
		}
		before := count()
		o.Notify(w.t.Context(), notify.Notice{Event: notify.Asked, Request: session.NewID(), Site: "NGH", Asset: "NGH-PETCT1", Services: []string{"recon-ssh"},
			Channels: []session.Channel{session.Shell}, Class: session.NonDisruptive, Engineer: w.doors.people[who].Person,
			Terms: notify.Terms{From: w.clock(), Until: w.clock().Add(time.Hour), Longest: time.Hour, Now: w.clock()}})
		return count() > before
	}
	return bound{"mails", func(w *world) {
		missed := 0
		for n := 0; missed < 2; n++ { // the first beyond the share begins the mail that tells of all
			if !tell(w, "ada") {
				missed++
			}
			if n > 200 {
				w.t.Fatal("the site is told of each of ada's requests")
			}
		}
	}, tell}
}

// looks is the row of what an agent looks at: it has begun with as much of ada's as it does
// for one person at once and ends none of it, and as much of hers waits as may.
func looks() bound {
	ask := func(w *world, who string) error {
		r := accesstest.Request(w.doors.people[who].Identity, "NGH", "NGH-PETCT1", w.clock())
		_, err := w.access.Submit(w.t.Context(), w.doors.people[who], accesstest.Bytes(r), accesstest.Proof(who))
		return err
	}
	return bound{"what an agent looks at", func(w *world) {
		const each = 3 // that an agent looks at for one person
		var inside atomic.Int32
		began, open := make(chan struct{}, each), make(chan struct{})
		w.agent.During = func(string) {
			if inside.Add(1) <= each {
				began <- struct{}{}
				<-open
			}
		}
		var asking sync.WaitGroup
		w.t.Cleanup(func() { close(open); asking.Wait() })
		for range each {
			asking.Go(func() { _ = ask(w, "ada") })
			<-began
		}
		full := make(chan struct{}, 64)
		for range cap(full) {
			asking.Go(func() {
				if errors.Is(ask(w, "ada"), turns.ErrBusy) {
					full <- struct{}{}
				}
			})
		}
		<-full
	}, func(w *world, who string) bool { return ask(w, who) == nil }}
}

// vouching takes any token for what it says.
type vouching struct{}

func (vouching) Verify(_ context.Context, issuer, compact string, e idtoken.Expect) (idtoken.Claims, error) {
	var p session.Person
	body, err := base64.RawURLEncoding.DecodeString(compact[len("e30.") : len(compact)-len(".c2ln")])
	if err == nil {
		err = json.Unmarshal(body, &p.Identity)
	}
	p.Iss = issuer
	return idtoken.Claims{Person: p, Client: e.Clients[0], Groups: []string{session.GroupEngineers}, IssuedAt: e.At, Expires: e.At.Add(time.Hour)}, err
}

// signIns is the row of sign-ins that succeed, of one broker.
func signIns() bound {
	desks := map[*world]*identity.Identity{}
	come := func(w *world, who string) bool {
		if desks[w] == nil {
			var issuers []identity.Issuer
			for _, iss := range []string{w.doors.people["ada"].Iss, w.doors.people["eve"].Iss} {
				issuers = append(issuers, identity.Issuer{Sites: []string{"*"}, Issuer: session.Issuer{URL: iss, Side: session.VendorSide, Domains: []string{"vendor.example"},
					Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI}, Login: "sallyport-cli"}})
			}
			d, err := identity.New(identity.Config{BrokerURL: broker, Issuers: issuers, Tokens: vouching{}, Sessions: w.store, Attempts: w.store, Now: w.clock,
				Nonce: func(_, _, _ [32]byte) string { return "n" }, Log: slog.New(slog.DiscardHandler)})
			w.must(err)
			desks[w] = d
		}
		body, err := json.Marshal(map[string]string{"iss": w.doors.people[who].Iss, "sub": who, "jti": session.NewID().Text()})
		w.must(err)
		seed := sha256.Sum256(body)
		key := ed25519.NewKeyFromSeed(seed[:])
		token := "e30." + base64.RawURLEncoding.EncodeToString(body) + ".c2ln"
		_, err = desks[w].Login(w.t.Context(), identity.Attempt{IDToken: token, Salt: seed[:], Key: session.KeyLine(key.Public().(ed25519.PublicKey)),
			Signature: ed25519.Sign(key, identity.ProofMessage(token)), Address: "192.0.2.1"})
		return err == nil
	}
	return bound{"sign-ins", func(w *world) {
		for n := 0; come(w, "ada"); n++ {
			if n > 400 {
				w.t.Fatal("ada signs in without end")
			}
		}
	}, come}
}
