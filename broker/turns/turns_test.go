package turns

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/session"
)

func somebody(iss string, n int) session.Identity {
	return session.Identity{Iss: "https://" + iss, Sub: fmt.Sprint(n)}
}

// A person has their own share within their organisation's: a colleague comes in.
func TestColleaguesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := New(Share{4, 2, 1, 2, 20 * time.Second}, "", "")
		first, err := turns.Take(t.Context(), somebody("v", 1))
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan int, 8)
		for range 2 {
			go func() {
				leave, err := turns.Take(t.Context(), somebody("v", 1))
				if err == nil {
					came <- 1
					leave()
				}
			}()
		}
		synctest.Wait()
		if _, err := turns.Take(t.Context(), somebody("v", 1)); !errors.Is(err, ErrBusy) {
			t.Errorf("a third that waits: %v", err)
		}
		leave, err := turns.Take(t.Context(), somebody("v", 2))
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
		last, err := turns.Take(ctx, somebody("v", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer last()
		stop()
		if _, err := turns.Take(ctx, somebody("v", 1)); !errors.Is(err, context.Canceled) {
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
		turns := New(Share{1, 1, 1, 2, 20 * time.Second}, "", "")
		leave, err := turns.Take(t.Context(), somebody("v", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		if _, err := turns.Take(t.Context(), somebody("w", 1)); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
	})
}
