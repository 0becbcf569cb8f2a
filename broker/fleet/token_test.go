package fleet

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// moody is an audit log that can be full.
type moody struct{ full atomic.Bool }

func (m *moody) Append(context.Context, witness.Event) error {
	if m.full.Load() {
		return errors.New("no space left on device")
	}
	return nil
}

func TestAFailedEnrolmentDoesNotSpendTheToken(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	log := &moody{}
	b.Fleet.cfg.Audit = log
	identity, other := newIdentity(t), newIdentity(t)
	text, err := b.JoinToken(t.Context(), Join{Site: "NGH", Agent: "ngh-1"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	try := func(as ed25519.PrivateKey, keep func(link.Issued) error) error {
		_, err := link.Enrol(t.Context(), link.EnrolRequest{JoinToken: text, Identity: as, Keep: keep})
		return err
	}
	log.full.Store(true)
	if err := try(identity, nil); err == nil {
		t.Fatal("nothing was written down, and the agent is enrolled")
	}
	log.full.Store(false)
	full := errors.New("no room")
	if err := try(identity, func(link.Issued) error { return full }); !errors.Is(err, full) {
		t.Fatalf("the agent could not keep it: %v", err)
	}
	mustRefuse(t, try(other, nil), session.Denied) // it is the first one's
	kept := false
	if err := try(identity, func(i link.Issued) error { kept = i.KeyPEM != ""; return nil }); err != nil || !kept {
		t.Fatalf("the token was spent by attempts that failed: %v", err)
	}
	mustRefuse(t, try(identity, nil), session.Denied)
}

func TestATokenEnrolsOneOfMany(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	text, err := b.JoinToken(t.Context(), Join{Site: "NGH", Agent: "ngh-1"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		identity := newIdentity(t)
		wg.Go(func() {
			_, err := link.Enrol(t.Context(), link.EnrolRequest{JoinToken: text, Identity: identity})
			if err == nil {
				won.Add(1)
			} else if session.KindOf(err) != session.Denied {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d agents enrolled with one token", won.Load())
	}
}
