package agent

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

func TestLampsShineForTheirScanners(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	asset := func(name, lamp string, required bool) Asset {
		must(t, os.WriteFile(at(lamp), []byte("0\n"), 0o600))
		return Asset{Name: name, Lamp: &Lamp{Line: "file:" + at(lamp), Required: required}}
	}
	says := func(lamp, want string) {
		t.Helper()
		for late := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			raw, err := os.ReadFile(at(lamp))
			if err == nil && strings.TrimSpace(string(raw)) == want {
				return
			}
			if time.Now().After(late) {
				t.Fatalf("%s says %q %v, want %s", lamp, raw, err, want)
			}
		}
	}
	assets := []Asset{asset("CT", "one", true), asset("PT", "one", false), {Name: "MR"}}
	l := newLamps(assets, func(string) bool { return false }, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	light := func(name string) func() {
		t.Helper()
		off, err := l.light(ctx, name)
		must(t, err)
		return off
	}
	ct, pt := light("CT"), light("PT")
	light("MR")()
	says("one", "1")
	l.configure(append(assets, asset("XA", "two", false)))
	xa := light("XA")
	says("two", "1")
	ct()
	says("one", "1")
	pt()
	says("one", "0")
	must(t, os.Remove(at("one")))
	if _, err := l.light(ctx, "CT"); session.KindOf(err) != session.Refused {
		t.Errorf("without its lamp: %v", err)
	}
	light("PT")() // it is not required there
	xa()
	says("two", "0")
	l.configure(nil)
	light("CT")()
	cancel()
	<-done
}
