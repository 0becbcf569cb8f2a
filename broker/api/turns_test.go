package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

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
			turns := newTurns(w.share)
			ctx, stop := context.WithCancel(t.Context())
			refused := make(chan error, 1<<12)
			for n := range 40 {
				for range 8 { // each, and nothing of it ends
					go func() {
						_, err := turns.take(ctx, somebody("loud", n))
						if err != nil && ctx.Err() == nil {
							refused <- err
						}
					}()
				}
			}
			synctest.Wait()
			for iss := range 2 {
				leave, err := turns.take(ctx, somebody(fmt.Sprint("other", iss), 1))
				if err != nil {
					t.Fatalf("%v: another organisation is told %v", w.calls, err)
				}
				defer leave()
			}
			if len(refused) == 0 {
				t.Errorf("%v: 320 calls of one vendor wait", w.calls)
			} else if err := <-refused; !errors.Is(err, errBusy) {
				t.Error(err)
			}
			t.Logf("ATTACK | 40 people of one vendor ask 320 times at once for %s | %d at once; others have their turn at once | others waited 0 s | holds", w.calls[0], w.share.tenant)
			stop()
			synctest.Wait()
		})
	}
}

// A person has their own share within their organisation's: a colleague comes in.
func TestColleaguesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(share{4, 2, 1, 2})
		first, err := turns.take(t.Context(), somebody("v", 1))
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan int, 8)
		for range 2 {
			go func() {
				leave, err := turns.take(t.Context(), somebody("v", 1))
				if err == nil {
					came <- 1
					leave()
				}
			}()
		}
		synctest.Wait()
		if _, err := turns.take(t.Context(), somebody("v", 1)); !errors.Is(err, errBusy) {
			t.Errorf("a third that waits: %v", err)
		}
		leave, err := turns.take(t.Context(), somebody("v", 2))
		if err != nil || len(came) != 0 {
			t.Errorf("a colleague: %v; the same person is inside %d times more", err, len(came))
		}
		leave()
		leave() // twice is once
		first()
		synctest.Wait()
		if len(came) != 2 {
			t.Errorf("%d of 2 came in", len(came))
		}
		ctx, stop := context.WithCancel(t.Context())
		last, err := turns.take(ctx, somebody("v", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer last()
		stop()
		if _, err := turns.take(ctx, somebody("v", 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up: %v", err)
		}
		if turns.total != 1 || len(turns.waiting) != 0 {
			t.Errorf("%d inside, %d wait", turns.total, len(turns.waiting))
		}
	})
}

// Whoever waits too long is told so.
func TestNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(share{1, 1, 1, 2})
		leave, err := turns.take(t.Context(), somebody("v", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		if _, err := turns.take(t.Context(), somebody("w", 1)); !errors.Is(err, errBusy) {
			t.Error(err)
		}
	})
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
