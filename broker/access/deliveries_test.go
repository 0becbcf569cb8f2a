package access_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
)

// While an agent looks at all that one vendor may ask at a time, another vendor's request is
// taken, and the hospital decides; and when it has answered, the first may ask again.
func TestAVendorHasAShareOfWhatAnAgentLooksAt(t *testing.T) {
	w := newWorld(t)
	mine, _ := w.submit(adam)
	var hold atomic.Bool
	var inside sync.WaitGroup
	open := make(chan struct{})
	w.agent.During = func(kind string) {
		if kind == "request" && hold.CompareAndSwap(true, false) {
			inside.Done()
			<-open
		}
	}
	ask := func(p person) error {
		raw := accesstest.Bytes(accesstest.Request(p.id(), "NGH", "NGH-CT2", w.clock()))
		_, err := w.Submit(t.Context(), p, raw, accesstest.Proof(p.who.Sub))
		return err
	}
	engineer := func(n int) person { return someone("vendor", fmt.Sprint("e", n), session.Engineer, "NGH") }
	var asking sync.WaitGroup
	held := func(p person) {
		hold.Store(true)
		inside.Add(1)
		asking.Go(func() {
			if err := ask(p); err != nil {
				t.Error(err)
			}
		})
		inside.Wait()
	}
	for range 4 {
		held(ada)
	}
	if err := ask(ada); session.KindOf(err) != session.Refused {
		t.Errorf("a fifth of one person: %v", err)
	}
	for n := range 4 {
		held(engineer(n))
	}
	if err := ask(engineer(9)); session.KindOf(err) != session.Refused {
		t.Errorf("a ninth of one vendor: %v", err)
	}
	if err := ask(someone("other-vendor", "o", session.Engineer, "NGH")); err != nil {
		t.Errorf("another vendor: %v", err)
	}
	if _, err := w.Deny(t.Context(), ben, mine.ID, "not now"); err != nil {
		t.Errorf("the hospital: %v", err)
	}
	close(open)
	asking.Wait()
	if err := ask(engineer(9)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	t.Log("ATTACK | one vendor has an agent look at as many requests as it can, and none is answered | 4 of a person, 8 of a vendor, of the 16 that it works on; others ask, and the hospital denies | 4 and 8 | holds")
}
