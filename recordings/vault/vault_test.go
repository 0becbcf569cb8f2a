package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/session"
)

func part(recording, name, content string) vault.Part {
	sum := sha256.Sum256([]byte(content))
	return vault.Part{Site: "NGH", Recording: recording, Name: name, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

func put(t *testing.T, v vault.Vault, recording, name, content string) error {
	t.Helper()
	return v.Put(context.Background(), part(recording, name, content), strings.NewReader(content))
}

func read(t *testing.T, v vault.Vault, recording, name string) string {
	t.Helper()
	r, err := v.Open(context.Background(), "NGH", recording, name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// conformance is what every backend must do.
func conformance(t *testing.T, open func() vault.Vault) {
	ctx := context.Background()
	t.Run("what is put is there, once", func(t *testing.T) {
		v, rec := open(), session.NewID().Recording()
		if n, err := v.Size(ctx, "NGH", rec, "header"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("size of nothing: %d, %v", n, err)
		}
		for _, n := range []string{"seal", "seg-000001", "header", "seg-000000"} {
			for range 2 {
				if err := put(t, v, rec, n, "content of "+n); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, want := range map[string]int64{"header": 17, "seg-000000": 21, "seg-000001": 21, "seal": 15} {
			if n, err := v.Size(ctx, "NGH", rec, name); err != nil || n != want {
				t.Fatalf("%s has %d bytes, %v", name, n, err)
			}
		}
		for site, name := range map[string]string{"NGH": "seg-000002", "MERCY": "header"} {
			if n, err := v.Size(ctx, site, rec, name); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s at %s: %d, %v", name, site, n, err)
			}
		}
		if got := read(t, v, rec, "seal"); got != "content of seal" {
			t.Fatalf("read %q", got)
		}
	})
	t.Run("nothing is replaced", func(t *testing.T) {
		v, rec := open(), session.NewID().Recording()
		if err := put(t, v, rec, "header", "the truth"); err != nil {
			t.Fatal(err)
		}
		err := put(t, v, rec, "header", "something else")
		if !errors.Is(err, vault.ErrConflict) || session.KindOf(err) != session.Refused {
			t.Fatalf("conflict: %v", err)
		}
		if got := read(t, v, rec, "header"); got != "the truth" {
			t.Fatalf("replaced by %q", got)
		}
	})
	t.Run("one of many wins, the others hear of it", func(t *testing.T) {
		v, rec := open(), session.NewID().Recording()
		var all sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			all.Go(func() { errs[i] = put(t, v, rec, "seg-000000", []string{"left", "right"}[i%2]) })
		}
		all.Wait()
		winner := read(t, v, rec, "seg-000000")
		for i, err := range errs {
			mine := []string{"left", "right"}[i%2]
			if mine == winner && err != nil || mine != winner && !errors.Is(err, vault.ErrConflict) {
				t.Errorf("%s won, %s heard %v", winner, mine, err)
			}
		}
	})
	t.Run("what is not whole is not there", func(t *testing.T) {
		v, rec := open(), session.NewID().Recording()
		good := part(rec, "header", "0123456789")
		for name, body := range map[string]io.Reader{
			"short": strings.NewReader("012345678"), "long": strings.NewReader("0123456789x"),
			"other": strings.NewReader("012345678x"), "broken off": io.MultiReader(strings.NewReader("0123"), iotest.ErrReader(io.ErrUnexpectedEOF)),
			"endless": iotest.OneByteReader(zeros{}),
		} {
			if err := v.Put(ctx, good, body); err == nil {
				t.Errorf("%s: stored", name)
			}
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if err := v.Put(cancelled, good, strings.NewReader("0123456789")); err == nil {
			t.Error("stored though nobody waits")
		}
		if _, err := v.Open(ctx, "NGH", rec, "header"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("something is there: %v", err)
		}
		if err := v.Put(ctx, good, strings.NewReader("0123456789")); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("names are strict", func(t *testing.T) {
		v, rec := open(), session.NewID().Recording()
		for _, bad := range []vault.Part{
			{Site: "..", Recording: rec, Name: "header"}, {Site: "", Recording: rec, Name: "header"}, {Site: ".incoming", Recording: rec, Name: "header"},
			{Site: "NGH", Recording: "../" + rec, Name: "header"}, {Site: "NGH", Recording: "", Name: "header"},
			{Site: "NGH", Recording: strings.ToUpper(rec), Name: "header"}, {Site: "NGH", Recording: rec, Name: "../header"},
			{Site: "NGH", Recording: rec, Name: "open-000000"}, {Site: "NGH", Recording: rec, Name: ""}, {Site: "NGH/x", Recording: rec, Name: "header"},
		} {
			bad.Size, bad.SHA256 = 1, part(rec, "header", "x").SHA256
			if err := v.Put(ctx, bad, strings.NewReader("x")); session.KindOf(err) != session.Invalid {
				t.Errorf("put %+v: %v", bad, err)
			}
			if _, err := v.Open(ctx, bad.Site, bad.Recording, bad.Name); session.KindOf(err) != session.Invalid {
				t.Errorf("open %+v: %v", bad, err)
			}
			if _, err := v.Size(ctx, bad.Site, bad.Recording, bad.Name); session.KindOf(err) != session.Invalid {
				t.Errorf("size of %+v: %v", bad, err)
			}
		}
		for _, size := range []int64{0, -1, recordings.MaxPart + 1} {
			p := part(rec, "header", "x")
			p.Size = size
			if err := v.Put(ctx, p, strings.NewReader("x")); session.KindOf(err) != session.Invalid {
				t.Errorf("size %d: %v", size, err)
			}
		}
		p := part(rec, "header", "x")
		p.SHA256 = "beef"
		if err := v.Put(ctx, p, strings.NewReader("x")); session.KindOf(err) != session.Invalid {
			t.Errorf("short hash: %v", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestDirectory(t *testing.T) {
	conformance(t, func() vault.Vault {
		v, err := vault.OpenDirectory(filepath.Join(t.TempDir(), "vault"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { v.Close() })
		return v
	})
}

func TestDirectoryOnDisk(t *testing.T) {
	dir := t.TempDir()
	v, err := vault.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec := session.NewID().Recording()
	if err := put(t, v, rec, "header", "kept"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "NGH", rec, "header"))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Fatalf("mode %v, %v", info, err)
	}
	if err := v.Put(context.Background(), part(rec, "seal", "abc"), bytes.NewReader(nil)); err == nil {
		t.Fatal("nothing was stored as something")
	}
	left, err := os.ReadDir(filepath.Join(dir, ".incoming"))
	if err != nil || len(left) != 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
	// A crash in the middle of a Put, then a new start.
	half, yesterday := filepath.Join(dir, ".incoming", "half"), time.Now().Add(-25*time.Hour)
	if err := errors.Join(os.WriteFile(half, []byte("x"), 0o600), os.Chtimes(half, yesterday, yesterday)); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err = vault.OpenDirectory(dir); err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if left, err = os.ReadDir(filepath.Join(dir, ".incoming")); err != nil || len(left) != 0 {
		t.Fatalf("left behind after a restart: %v, %v", left, err)
	}
	if got := read(t, v, rec, "header"); got != "kept" {
		t.Fatalf("after a restart: %q", got)
	}
	// A link planted in the vault leads nowhere outside.
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "NGH", rec, "seg-000000")); err != nil {
		t.Fatal(err)
	}
	if r, err := v.Open(context.Background(), "NGH", rec, "seg-000000"); err == nil {
		r.Close()
		t.Fatal("read through a link out of the vault")
	}
}
