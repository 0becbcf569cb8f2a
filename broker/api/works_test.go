package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/broker/turns"
	"github.com/sallyport/sallyport/session"
)

func somebody(iss string, n int) session.Identity {
	return session.Identity{Iss: "https://" + iss, Sub: fmt.Sprint(n)}
}

// One vendor asks for as much as it can of each kind of work: one person of another, and a
// hospital's, have their turn at once, and whoever asked for too much is told so.
func TestWorkIsShared(t *testing.T) {
	for _, w := range works() {
		synctest.Test(t, func(t *testing.T) {
			turn := turns.New(w.share, "", "")
			ctx, stop := context.WithCancel(t.Context())
			refused := make(chan error, 1<<12)
			for n := range 40 {
				for range 8 { // each, and nothing of it ends
					go func() {
						_, err := turn.Take(ctx, somebody("loud", n))
						if err != nil && ctx.Err() == nil {
							refused <- err
						}
					}()
				}
			}
			synctest.Wait()
			for iss := range 2 {
				leave, err := turn.Take(ctx, somebody(fmt.Sprint("other", iss), 1))
				if err != nil {
					t.Fatalf("%v: another organisation is told %v", w.calls, err)
				}
				defer leave()
			}
			if len(refused) == 0 {
				t.Errorf("%v: 320 calls of one vendor wait", w.calls)
			} else if err := <-refused; !errors.Is(err, turns.ErrBusy) {
				t.Error(err)
			}
			t.Logf("ATTACK | 40 people of one vendor ask 320 times at once for %s | %d at once; others have their turn at once | others waited 0 s | holds", w.calls[0], w.share.Tenant)
			stop()
			synctest.Wait()
		})
	}
}

// Every call of a share is one of the table.
func TestSharesNameCalls(t *testing.T) {
	known := map[string]bool{}
	for _, r := range table() {
		known[r.id] = true
	}
	for id := range newWorks() {
		if !known[id] {
			t.Errorf("there is no call %s", id)
		}
	}
}
