package broker

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/broker/fleet"
)

// Nothing that moved is forgotten, however often it moves and however long the store
// is away; the bell rings once for all of it.
func TestPresence(t *testing.T) {
	m := newPresence()
	for range 3000 {
		m.note("NGH", "a")
		m.note("NGH", "b")
	}
	<-m.rang
	all := m.take()
	if len(all) != 2 || len(m.take()) != 0 || len(m.rang) != 0 {
		t.Fatalf("moved: %v", all)
	}
	m.note("XYZ", "c")
	m.back(all)
	all = append(all, fleet.Agent{Site: "XYZ", Agent: "c"})
	if late := m.take(); len(late) != 3 || slices.ContainsFunc(late, func(a fleet.Agent) bool { return !slices.Contains(all, a) }) {
		t.Errorf("late: %v", late)
	}
}
