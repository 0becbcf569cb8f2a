package engine

import (
	"fmt"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// Whoever asks as much as they can leaves room for others: for a colleague, for another
// vendor, and at another scanner.
func TestAskingsAreShared(t *testing.T) {
	ticket := func(vendor, who, asset string) *Ticket {
		return &Ticket{ID: session.NewID(), Asset: asset, Engineer: session.Person{Identity: session.Identity{Iss: vendor, Sub: who}}}
	}
	for name, c := range map[string]struct {
		next  func(n int) *Ticket
		most  int
		other *Ticket
	}{
		"one engineer": {func(n int) *Ticket { return ticket("v", "eva", fmt.Sprint("CT", n)) }, maxAskingEach, ticket("v", "ina", "MR")},
		"one vendor":   {func(n int) *Ticket { return ticket("v", fmt.Sprint(n), fmt.Sprint("CT", n)) }, maxAsking / 2, ticket("w", "ina", "MR")},
		"one scanner":  {func(n int) *Ticket { return ticket(fmt.Sprint("v", n), "eva", "CT") }, maxAsking / 4, ticket("w", "ina", "MR")},
		"everybody":    {func(n int) *Ticket { return ticket(fmt.Sprint("v", n), "eva", fmt.Sprint("CT", n)) }, maxAsking, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cs, n := consents{of: map[session.ID]*consent{}}, 0
			for ; n < 2*maxAsking; n++ {
				x := c.next(n)
				if err := cs.room(x, &consent{}); err != nil {
					if session.KindOf(err) != session.Refused {
						t.Error(err)
					}
					break
				}
				cs.of[x.ID] = &consent{asking: &asking{t: x}}
			}
			if n != c.most {
				t.Errorf("%d are asked about", n)
			}
			if c.other != nil && cs.room(c.other, &consent{}) != nil {
				t.Error("nobody else can ask")
			}
			t.Logf("ATTACK | %s asks all that operators are asked | at most %d of %d, and others are let in | %d | holds", name, c.most, maxAsking, n)
		})
	}
}
