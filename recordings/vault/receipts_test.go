package vault_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Receipts are only ever added: an older head is refused, the same one gets the first
// receipt back, after the closing one nothing comes, and a torn one is overwritten.
func TestReceiptsAreAppendOnly(t *testing.T) {
	dir := t.TempDir()
	v, err := vault.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := session.NewID()
	if b, err := v.Receipts(t.Context(), "NGH", id.Recording()); err != nil || len(b) != 0 {
		t.Fatalf("receipts of nothing: %d, %v", len(b), err)
	}
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	add := func(segment uint32, offset uint64) (witness.Receipt, error) {
		at = at.Add(time.Second)
		r, err := witness.Countersigned(key, witness.Head{Recording: id, Segment: segment, Offset: offset}, at)
		if err != nil {
			t.Fatal(err)
		}
		return v.AppendReceipt(t.Context(), "NGH", r)
	}
	if _, err := add(0, 10); err == nil {
		t.Error("kept for a recording that is not there")
	}
	if err := put(t, v, id.Recording(), "header", "h"); err != nil {
		t.Fatal(err)
	}
	first, err := add(0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := add(0, 10); err != nil || again != first {
		t.Errorf("the same head got another receipt: %v", err)
	}
	file := filepath.Join(dir, "NGH", id.Recording(), "countersigned")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat([]byte{1}, 99)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := add(0, 20); err != nil {
		t.Fatal(err)
	}
	if _, err := add(0, 15); session.KindOf(err) != session.Refused {
		t.Errorf("an older head: %v", err)
	}
	if _, err := add(1, 0); err != nil {
		t.Errorf("the closing head: %v", err)
	}
	if _, err := add(2, 5); session.KindOf(err) != session.Refused {
		t.Errorf("a head after the closing one: %v", err)
	}
	b, err := v.Receipts(t.Context(), "NGH", id.Recording())
	all, perr := witness.ParseReceipts(b)
	if err != nil || perr != nil || len(all) != 3 || all[0] != first || !witness.Sorted(id, all) {
		t.Errorf("%d receipts, %v, %v", len(all), err, perr)
	}
	if n, err := v.Size(t.Context(), "NGH", id.Recording(), "countersigned"); session.KindOf(err) != session.Invalid {
		t.Errorf("the receipts pass for a part: %d, %v", n, err)
	}
}

// However many heads came before, the closing one has its place: without it a recording
// would wait for ever.
func TestTheClosingHeadHasItsPlace(t *testing.T) {
	dir := t.TempDir()
	v, err := vault.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := session.NewID()
	if err := put(t, v, id.Recording(), "header", "h"); err != nil {
		t.Fatal(err)
	}
	signed := func(segment uint32, offset uint64) witness.Receipt {
		r, err := witness.Countersigned(key, witness.Head{Recording: id, Segment: segment, Offset: offset}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	full := bytes.Repeat(signed(0, 10).Bytes(), witness.MaxReceipts-1)
	if err := os.WriteFile(filepath.Join(dir, "NGH", id.Recording(), "countersigned"), full, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.AppendReceipt(t.Context(), "NGH", signed(1, 10)); session.KindOf(err) != session.Refused {
		t.Errorf("one more head: %v", err)
	}
	if _, err := v.AppendReceipt(t.Context(), "NGH", signed(1, 0)); err != nil {
		t.Errorf("the closing head: %v", err)
	}
}
