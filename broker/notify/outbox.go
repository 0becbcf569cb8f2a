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

// envelope is a mail in the outbox.
type envelope struct {
	Site    string    `json:"site"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	Written time.Time `json:"written"`
	About   Missed    `json:"about"`
	Tries   int       `json:"tries,omitempty"`
	Next    time.Time `json:"next,omitzero"` // not before; a lease while somebody tries
	// Together are the requests that a mail about several tells of.
	Together []string `json:"together,omitempty"`
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
	ok, _, err := o.cfg.Queue.Count(ctx, "mail-taken:"+counted(site, m.about.Event), time.Hour, perHour)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the site was written to 600 times within the hour")
	}
	return o.cfg.Documents.Put(ctx, waitingKind, m.ID, func(old []byte) ([]byte, []store.Under, error) {
		e := envelope{Site: site, To: m.To, Subject: m.Subject, Text: m.Text, Written: m.Written, About: m.about}
		if old != nil {
			if err := json.Unmarshal(old, &e); err != nil {
				return nil, nil, err
			}
		}
		return e.kept()
	})
}

// due is the name under which mails wait, the one that is due first in the first place.
const due = "due"

// kept is a mail as it is stored, and where it waits.
func (e envelope) kept() ([]byte, []store.Under, error) {
	body, err := json.Marshal(e)
	at := e.Next
	if at.Before(e.Written) {
		at = e.Written
	}
	return body, []store.Under{{Name: due, Place: store.MaxPlace - uint64(max(at.UnixMicro(), 0))}}, err
}

// edit changes a mail that waits.
func (o *Office) edit(ctx context.Context, id string, change func(e *envelope) error) error {
	return o.cfg.Documents.Put(ctx, waitingKind, id, func(old []byte) ([]byte, []store.Under, error) {
		var e envelope
		if old == nil {
			return nil, nil, os.ErrNotExist
		}
		if err := json.Unmarshal(old, &e); err != nil {
			return nil, nil, err
		}
		if err := change(&e); err != nil {
			return nil, nil, err
		}
		return e.kept()
	})
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

// round tries what is due, the longest due first. When the mail server cannot be reached
// at all, the rest waits for the next round.
func (o *Office) round(ctx context.Context) {
	docs, _, err := o.cfg.Queue.Page(ctx, waitingKind, []string{due}, "", atOnce)
	if err != nil {
		o.cfg.Log.Warn("the outbox cannot be read", "err", err)
		return
	}
	for _, d := range docs {
		var e envelope
		if err := json.Unmarshal(d.Body, &e); err != nil {
			o.cfg.Log.Error("a mail in the outbox cannot be read and is dropped", "mail", d.ID, "err", err)
			o.drop(ctx, d.ID)
			continue
		}
		if ctx.Err() != nil || e.Next.After(o.cfg.Now()) {
			return // none behind it is due
		}
		if again := o.try(ctx, d.ID); !again {
			return
		}
	}
	if len(docs) == atOnce {
		o.wake()
	}
}

// errNotOurs ends an update that would take a mail from another broker.
var errNotOurs = errors.New("another broker tries it")

// try sends one mail under a lease. It reports whether trying others makes sense.
func (o *Office) try(ctx context.Context, id string) bool {
	var e envelope
	err := o.edit(ctx, id, func(now *envelope) error {
		if now.Next.After(o.cfg.Now()) {
			return errNotOurs
		}
		now.Next = o.cfg.Now().Add(lease).UTC()
		e = *now
		return nil
	})
	if err != nil {
		if !errors.Is(err, errNotOurs) && !errors.Is(err, os.ErrNotExist) {
			o.cfg.Log.Warn("the outbox cannot be written", "err", err)
			return false
		}
		return true
	}
	if ok, wait, err := o.cfg.Queue.Count(ctx, "mail-sent:"+counted(e.Site, e.About.Event), time.Minute, perMinute); err != nil || !ok {
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
		o.miss(ctx, e.About, "the mail server refused the mail for good")
		o.drop(ctx, id)
	case o.cfg.Now().Sub(e.Written) >= giveUp:
		o.cfg.Log.Error("mail given up: tried for a day", "mail", id[:16], "subject", e.Subject, "to", e.To, "tries", e.Tries, "err", err)
		o.miss(ctx, e.About, "the mail server did not take the mail for a day")
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
	err := o.edit(ctx, id, func(now *envelope) error {
		*now = e
		now.Next = o.cfg.Now().Add(wait).UTC()
		return nil
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
