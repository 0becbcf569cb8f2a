package notify

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/sallyport/sallyport/broker/store"
)

// Kinds of documents in the store.
const (
	waitingKind = "mail"   // by id: what has to be sent
	sentKind    = "mailed" // by id, for two days: what need not be sent again
)

const (
	perMinute = 60               // mails of a site
	perHour   = 600              // taken for a site; more is a flood and is dropped
	lease     = 2 * time.Minute  // for one try
	tryTime   = time.Minute      // longest try
	firstWait = time.Minute      // after a failed try, doubled with each
	longWait  = 2 * time.Hour    // at most
	giveUp    = 24 * time.Hour   // after the mail was written
	remember  = 48 * time.Hour   // what was sent
	lookAgain = 15 * time.Second // for what other brokers left
	atOnce    = 200              // looked at in one round
)

// envelope is a mail in the outbox.
type envelope struct {
	Site    string    `json:"site"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	Written time.Time `json:"written"`
	Tries   int       `json:"tries,omitempty"`
	Next    time.Time `json:"next,omitzero"` // not before; a lease while somebody tries
}

// post keeps a mail, unless it was kept or sent before.
func (o *Office) post(ctx context.Context, site string, m Mail) error {
	_, err := o.cfg.Documents.Get(ctx, sentKind, m.ID)
	if err == nil {
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ok, _, err := o.cfg.Queue.Count(ctx, "mail-taken:"+site, time.Hour, perHour)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the site was written to 600 times within the hour")
	}
	body, err := json.Marshal(envelope{Site: site, To: m.To, Subject: m.Subject, Text: m.Text, Written: m.Written})
	if err != nil {
		return err
	}
	err = o.cfg.Documents.Create(ctx, waitingKind, m.ID, body, 0)
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// Run sends what waits until ctx ends.
func (o *Office) Run(ctx context.Context) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		o.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-o.kick:
		case <-tick.C:
		}
	}
}

// round tries what is due, the oldest first. When the mail server cannot be reached
// at all, the rest waits for the next round.
func (o *Office) round(ctx context.Context) {
	docs, err := o.cfg.Queue.List(ctx, waitingKind, store.MaxList)
	if err != nil {
		o.cfg.Log.Warn("the outbox cannot be read", "err", err)
		return
	}
	looked := 0
	for i := len(docs) - 1; i >= 0 && ctx.Err() == nil && looked < atOnce; i-- {
		var e envelope
		if err := json.Unmarshal(docs[i].Body, &e); err != nil {
			o.cfg.Log.Error("a mail in the outbox cannot be read and is dropped", "mail", docs[i].ID, "err", err)
			o.drop(ctx, docs[i].ID)
			continue
		}
		if e.Next.After(o.cfg.Now()) {
			continue
		}
		looked++
		if again := o.try(ctx, docs[i].ID); !again {
			return
		}
	}
	if looked == atOnce {
		o.wake()
	}
}

// errNotOurs ends an update that would take a mail from another broker.
var errNotOurs = errors.New("another broker tries it")

// try sends one mail under a lease. It reports whether trying others makes sense.
func (o *Office) try(ctx context.Context, id string) bool {
	var e envelope
	err := o.cfg.Documents.Update(ctx, waitingKind, id, func(old []byte) ([]byte, error) {
		e = envelope{}
		if err := json.Unmarshal(old, &e); err != nil {
			return nil, err
		}
		if e.Next.After(o.cfg.Now()) {
			return nil, errNotOurs
		}
		e.Next = o.cfg.Now().Add(lease).UTC()
		return json.Marshal(e)
	})
	if err != nil {
		if !errors.Is(err, errNotOurs) && !errors.Is(err, os.ErrNotExist) {
			o.cfg.Log.Warn("the outbox cannot be written", "err", err)
			return false
		}
		return true
	}
	if ok, wait, err := o.cfg.Queue.Count(ctx, "mail-sent:"+e.Site, time.Minute, perMinute); err != nil || !ok {
		o.later(ctx, id, e, max(wait, time.Second))
		return err == nil
	}
	tctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	err = o.cfg.Mailer.Send(tctx, Mail{ID: id, To: e.To, Subject: e.Subject, Text: e.Text, Written: e.Written})
	return o.tried(context.WithoutCancel(ctx), id, e, err)
}

// tried writes down what came of a try.
func (o *Office) tried(ctx context.Context, id string, e envelope, err error) bool {
	var never *Permanent
	e.Tries++
	switch {
	case err == nil:
		o.drop(ctx, id)
		o.cfg.Log.Info("mail sent", "mail", id[:16], "subject", e.Subject, "try", e.Tries)
	case errors.As(err, &never):
		o.cfg.Log.Error("mail given up: refused for good", "mail", id[:16], "subject", e.Subject, "to", e.To, "err", err)
		o.drop(ctx, id)
	case o.cfg.Now().Sub(e.Written) >= giveUp:
		o.cfg.Log.Error("mail given up: tried for a day", "mail", id[:16], "subject", e.Subject, "to", e.To, "tries", e.Tries, "err", err)
		o.drop(ctx, id)
	default:
		wait := min(firstWait<<min(e.Tries-1, 10), longWait)
		if left := giveUp - o.cfg.Now().Sub(e.Written); left < wait {
			wait = max(left, time.Second) // the last try comes when the day is over
		}
		o.later(ctx, id, e, wait)
		o.cfg.Log.Debug("mail not sent yet", "mail", id[:16], "try", e.Tries, "again_in", wait, "err", err)
		return answered(err)
	}
	return true
}

// answered reports whether a mail server spoke at all.
func answered(err error) bool {
	var reply interface{ ErrorCode() int }
	return errors.As(err, &reply) && reply.ErrorCode() > 0
}

// later gives a mail back, to be tried after a while.
func (o *Office) later(ctx context.Context, id string, e envelope, wait time.Duration) {
	err := o.cfg.Documents.Update(ctx, waitingKind, id, func(old []byte) ([]byte, error) {
		e.Next = o.cfg.Now().Add(wait).UTC()
		return json.Marshal(e)
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		o.cfg.Log.Warn("the outbox cannot be written", "err", err)
	}
}

// drop takes a mail out of the outbox and remembers that it is done.
func (o *Office) drop(ctx context.Context, id string) {
	err := o.cfg.Documents.Create(ctx, sentKind, id, []byte("{}"), remember)
	if err == nil || errors.Is(err, store.ErrExists) {
		err = o.cfg.Documents.Delete(ctx, waitingKind, id)
	}
	if err != nil {
		o.cfg.Log.Warn("a mail that is done stays in the outbox and may be sent again", "mail", id[:16], "err", err)
	}
}
