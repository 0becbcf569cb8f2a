package witness_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

func receipts(t *testing.T, n int) (agentSigned []witness.Receipt, id session.ID, list []byte) {
	t.Helper()
	agent, broker := newKey(t), newKey(t)
	id = session.NewID()
	for i := range n {
		h, err := witness.Head{Recording: id, Offset: uint64(i + 1)}.Signed(agent)
		if err != nil {
			t.Fatal(err)
		}
		r, err := witness.Countersigned(broker, h, time.UnixMicro(int64(i)))
		if err != nil {
			t.Fatal(err)
		}
		agentSigned = append(agentSigned, r)
	}
	list, err := witness.SignList(agent, id, agentSigned)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := witness.ParseList(list, public(agent), id); err != nil || len(got) != n {
		t.Fatalf("the list is not read back: %d, %v", len(got), err)
	}
	if _, err := witness.ParseList(list, public(broker), id); err == nil {
		t.Error("another key's list is taken")
	}
	if _, err := witness.ParseList(list, public(agent), session.NewID()); err == nil {
		t.Error("another recording's list is taken")
	}
	for i := range list {
		list[i] ^= 1
		if _, err := witness.ParseList(list, public(agent), id); err == nil {
			t.Fatalf("byte %d does not count", i)
		}
		list[i] ^= 1
	}
	return agentSigned, id, list
}

// A receipt holds for its head and time alone, and every byte of it counts.
func TestReceipt(t *testing.T) {
	all, id, _ := receipts(t, 2)
	b := all[0].Bytes()
	if r, err := witness.ParseReceipt(b); err != nil || r != all[0] || !r.Verify() || len(b) != witness.ReceiptSize {
		t.Fatalf("not read back: %v", err)
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x10
		if r, err := witness.ParseReceipt(c); err == nil && r.Verify() {
			t.Errorf("byte %d does not count", i)
		}
	}
	if _, err := witness.ParseReceipt(b[1:]); err == nil {
		t.Error("a short receipt is read")
	}
	if !witness.Sorted(id, all) || witness.Sorted(id, []witness.Receipt{all[1], all[0]}) || witness.Sorted(id, []witness.Receipt{all[0], all[0]}) ||
		witness.Sorted(session.NewID(), all) {
		t.Error("the order is judged wrongly")
	}
	if _, err := witness.ParseReceipts(append(b, 1)); err == nil {
		t.Error("half a receipt is read")
	}
}

// A broker's signature under a receipt is no agent's under anything, nor the other way.
func TestCountersignaturesHaveADomain(t *testing.T) {
	key := newKey(t)
	h, err := witness.Head{Recording: session.NewID()}.Signed(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := witness.Countersigned(key, h, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(domains, witness.Papers, witness.List, witness.Pack) {
		if witness.Verify(public(key), d, r.Bytes()[:witness.ReceiptSize-witness.SignatureSize], r.Signature[:]) {
			t.Errorf("the receipt is also a %s", d)
		}
	}
}

// A closing head closes exactly what it says.
func TestClosingHead(t *testing.T) {
	id, chain := session.NewID(), [32]byte{1}
	h := witness.ClosingHead(id, 3, chain, 1, 2, 3)
	if !h.Closes(3, chain) || h.Closes(2, chain) || h.Closes(3, [32]byte{2}) || (witness.Head{Segment: 3, Chain: chain}).Closes(3, chain) {
		t.Error("it closes something else")
	}
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte("SALYRCP1"))
	f.Add(append([]byte("SALYRCP1"), make([]byte, 84)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := witness.ParseList(b, make([]byte, 32), session.ID{}); err == nil && len(b) < 92 {
			t.Error("a short list is read")
		}
		if all, err := witness.ParseReceipts(b); err == nil && len(all)*witness.ReceiptSize != len(b) {
			t.Error("bytes are left over")
		}
	})
}
