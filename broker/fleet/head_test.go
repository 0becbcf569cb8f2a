package fleet

import (
	"context"
	"errors"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// Countersign answers a head with its own bytes turned around.
func (o *office) Countersign(_ context.Context, site, agent, recording string, head []byte) ([]byte, error) {
	if len(head) == 0 {
		return nil, errors.New("an empty head")
	}
	return append([]byte(site+"/"+agent+"/"), head...), nil
}

// A head's receipt comes back in the ack, and says for which site it was asked.
func TestHeadsGetReceipts(t *testing.T) {
	b := startBroker(t, t.TempDir(), "127.0.0.1:0")
	s := start(t, b, "NGH", "ngh-1")
	rec := session.NewID().Recording()
	for range 3 {
		got, err := s.PutHead(t.Context(), rec, []byte("head"))
		if err != nil || string(got) != "NGH/ngh-1/head" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if _, ok := b.office.parts["NGH/"+rec+"/head"]; ok {
		t.Error("a head was stored as a part")
	}
	if got, err := s.PutHead(t.Context(), rec, nil); err == nil || got != nil {
		t.Errorf("an empty head: %q, %v", got, err)
	}
	if got, err := s.PutHead(t.Context(), rec, make([]byte, 2000)); session.KindOf(err) != session.Invalid || got != nil {
		t.Errorf("a large head: %q, %v", got, err)
	}
	if got, err := s.PutHead(t.Context(), rec, []byte("again")); err != nil || string(got) != "NGH/ngh-1/again" {
		t.Errorf("after a refusal: %q, %v", got, err)
	}
}
