package spool_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// broker stores what it is given and polices it: whole parts, right hashes, never
// another content under a name. fail may refuse, before or after storing.
type broker struct {
	t      *testing.T
	mu     sync.Mutex
	stored map[string]string // recording/part to content
	order  []string
	puts   int
	fail   func(p link.Put) (err error, applied bool)
}

func newBroker(t *testing.T) *broker {
	return &broker{t: t, stored: map[string]string{}, fail: fine}
}

func (b *broker) Put(_ context.Context, p link.Put, body io.Reader) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	content, err := io.ReadAll(body)
	sum := sha256.Sum256(content)
	if _, segment := recordings.Segment(p.Part); segment {
		if err == nil {
			err = recordings.CheckPart(p.Part, content)
		}
		if session.KindOf(err) == session.Invalid { // as the broker does: held against what was signed
			return err
		}
		p.SHA256 = hex.EncodeToString(sum[:])
	}
	if err != nil || int64(len(content)) != p.Size || hex.EncodeToString(sum[:]) != p.SHA256 {
		b.t.Errorf("%+v came with %d bytes, %x, %v", p, len(content), sum, err)
	}
	b.puts++
	err, applied := b.fail(p)
	if applied {
		name := p.Recording + "/" + p.Part
		if old, ok := b.stored[name]; ok && old != string(content) {
			b.t.Errorf("%s sent with two contents", name)
		} else if !ok {
			b.order = append(b.order, name)
		}
		b.stored[name] = string(content)
	}
	return err
}

// has is what it holds by now.
func (b *broker) has() (stored map[string]string, order []string, puts int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.stored), slices.Clone(b.order), b.puts
}

// from now on it fails like this.
func (b *broker) from(fail func(p link.Put) (error, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail, b.puts = fail, 0
}

func fine(link.Put) (error, bool) { return nil, true }

// site is an agent's spool directory and key.
type site struct {
	t   *testing.T
	dir string
	key ed25519.PrivateKey
	to  string
}

func newSite(t *testing.T) *site {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, dir: t.TempDir(), key: key, to: id.Recipient().String()}
}

func (s *site) begin(onPart func()) (*recordings.Writer, string) {
	s.t.Helper()
	return s.beginFor(session.Identity{}, onPart)
}

func (s *site) beginFor(who session.Identity, onPart func()) (*recordings.Writer, string) {
	s.t.Helper()
	h := recordings.Header{
		Engineer:  session.Person{Identity: who},
		Recording: session.NewID().Recording(), Session: session.NewID().Session(), Request: session.NewID().Request(),
		GrantHash: strings.Repeat("00", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH,
	}
	w, err := recordings.Create(filepath.Join(s.dir, h.Recording), h, recordings.Options{
		Signer: s.key, InputRecipient: s.to, SegmentBytes: 150, SegmentTime: time.Hour, OnPart: onPart})
	if err != nil {
		s.t.Fatal(err)
	}
	return w, h.Recording
}

func (s *site) say(w *recordings.Writer, lines int) {
	s.t.Helper()
	for range lines {
		if err := w.Record(session.Event{Kind: session.Output, Stream: 1, Data: []byte("a line of forty characters and its end\r\n")}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// finished is a sealed recording of n segments.
func (s *site) finished(n int) string {
	s.t.Helper()
	w, id := s.begin(nil)
	s.say(w, n)
	if err := w.Close(session.Completed); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *site) names() []string {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// run runs a spool for as long as during takes.
func (s *site) run(b spool.Putter, during func(*spool.Spool), options ...spool.Option) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	sp := spool.New(s.dir, b, slog.New(slog.DiscardHandler), options...)
	done := make(chan error, 1)
	go func() { done <- sp.Run(ctx) }()
	synctest.Wait()
	during(sp)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		s.t.Errorf("Run: %v", err)
	}
}

func settle(d time.Duration) { time.Sleep(d); synctest.Wait() }

func unreachable() error { return session.Errorf(session.Unreachable, "the broker does not answer") }

func TestASealedRecordingGoesUpInOrderAndIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		id := s.finished(3)
		s.run(b, func(*spool.Spool) { settle(time.Second) })
		want := []string{id + "/header", id + "/seg-000000", id + "/seg-000001", id + "/seg-000002", id + "/seal"}
		if !cmp.Equal(b.order, want) || b.puts != len(want) {
			t.Errorf("%d puts: %v", b.puts, b.order)
		}
		if left := s.names(); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestALiveRecordingGoesUpAsItsPartsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		s.run(b, func(sp *spool.Spool) {
			w, id := s.begin(sp.Kick)
			for n := range 5 {
				s.say(w, 1)
				synctest.Wait() // no time passes: a kick is enough
				if _, order, _ := b.has(); len(order) != n+1 {
					t.Fatalf("%d lines on, %v", n+1, order)
				}
			}
			settle(time.Hour)
			if !slices.Contains(s.names(), id) {
				t.Fatal("deleted while it was live")
			}
			if err := w.Close(session.Completed); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if _, order, _ := b.has(); len(order) != 7 || len(s.names()) != 0 {
				t.Fatalf("at the end: %v, left %v", order, s.names())
			}
		})
	})
}

func TestARestartSendsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		s.finished(6)
		b.fail = func(p link.Put) (error, bool) {
			if p.Part == "seg-000003" {
				return unreachable(), false
			}
			return nil, true
		}
		s.run(b, func(*spool.Spool) {})
		if len(b.stored) != 4 {
			t.Fatalf("before the restart: %v", b.order)
		}
		b.from(fine)
		s.run(b, func(*spool.Spool) { settle(time.Minute) })
		if b.puts != 4 || len(b.stored) != 8 || len(s.names()) != 0 {
			t.Fatalf("after it: %d puts, %d stored, left %v", b.puts, len(b.stored), s.names())
		}
	})
}

// The answer is lost on its way: the part is stored, but nobody here knows.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		s.finished(4)
		b.fail = func(link.Put) (error, bool) {
			if b.puts%2 == 1 {
				return unreachable(), true
			}
			return nil, true
		}
		s.run(b, func(*spool.Spool) { settle(10 * time.Minute) })
		if len(b.stored) != 6 || len(s.names()) != 0 {
			t.Fatalf("stored %v, left %v", b.order, s.names())
		}
	})
}

func TestAWeekWithoutBrokerLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		for range 5 {
			s.finished(3)
		}
		b.fail = func(link.Put) (error, bool) { return unreachable(), false }
		s.run(b, func(sp *spool.Spool) {
			for range 7 * 24 {
				settle(time.Hour)
				sp.Kick()
			}
			if _, _, puts := b.has(); puts < 7*24*60 || puts > 7*24*60*60 {
				t.Fatalf("%d attempts in a week", puts)
			}
			b.from(fine)
			settle(time.Minute)
			if stored, _, _ := b.has(); len(stored) != 25 || len(s.names()) != 0 {
				t.Fatalf("a minute later: %d stored, left %v", len(stored), s.names())
			}
		})
	})
}

// The disk spoiled one segment: it is not sent, everything else is, and what is left
// of that recording stays.
func TestOneCorruptFileBlocksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		ids := []string{s.finished(3), s.finished(3), s.finished(3), s.finished(3)}
		slices.Sort(ids)
		corrupt(t, filepath.Join(s.dir, ids[0], "seg-000001"))
		corrupt(t, filepath.Join(s.dir, ids[2], "header"))
		for _, name := range []string{"V-not-a-recording", "notes"} {
			if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		s.run(b, func(*spool.Spool) { settle(time.Hour) })
		if len(b.stored) != 4*5-2 {
			t.Fatalf("%d parts stored: %v", len(b.stored), b.order)
		}
		for _, bad := range []string{ids[0] + "/seg-000001", ids[2] + "/header"} {
			if _, ok := b.stored[bad]; ok {
				t.Errorf("%s was sent", bad)
			}
		}
		want := []string{"notes", ids[0], ids[2], "V-not-a-recording"}
		slices.Sort(want)
		if left := s.names(); !cmp.Equal(left, want) {
			t.Errorf("left: %v, want %v", left, want)
		}
	})
}

func corrupt(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A part that the broker refuses, or that breaks the link whenever it is sent, is
// tried for ever and holds nobody up.
func TestOneRefusedPartBlocksNothing(t *testing.T) {
	for name, refusal := range map[string]error{
		"refused": session.Errorf(session.Refused, "another content is there"), "breaks the link": unreachable(), "unknown": errors.New("boom"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBroker(t)
				ids := []string{s.finished(3), s.finished(3), s.finished(3)}
				slices.Sort(ids)
				var tries atomic.Int64
				b.fail = func(p link.Put) (error, bool) {
					if p.Recording == ids[0] && p.Part == "seg-000000" {
						tries.Add(1)
						return refusal, false
					}
					return nil, true
				}
				s.run(b, func(*spool.Spool) {
					settle(time.Hour)
					stored, _, _ := b.has()
					if left := s.names(); !cmp.Equal(left, ids[:1]) || len(stored) < 13 {
						t.Fatalf("after an hour: %d stored, left %v", len(stored), left)
					}
					if n := tries.Load(); n < 10 || n > 4000 {
						t.Fatalf("tried %d times in an hour", n)
					}
					b.from(fine)
					settle(10 * time.Minute)
				})
				if len(b.stored) != 15 || len(s.names()) != 0 {
					t.Fatalf("in the end: %d stored, left %v", len(b.stored), s.names())
				}
			})
		})
	}
}

func TestKeepHoldsTheLocalCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		id := s.finished(2)
		s.run(b, func(*spool.Spool) {
			settle(23 * time.Hour)
			if left := s.names(); !cmp.Equal(left, []string{id}) {
				t.Fatalf("before its time: %v", left)
			}
		}, spool.Keep(24*time.Hour))
		s.run(b, func(*spool.Spool) {
			settle(2 * time.Hour)
			if left := s.names(); len(left) != 0 || b.puts != 4 {
				t.Fatalf("after its time: %v, %d puts", left, b.puts)
			}
		}, spool.Keep(24*time.Hour))
	})
}

func TestAMissingDirectoryIsSaid(t *testing.T) {
	sp := spool.New(filepath.Join(t.TempDir(), "none"), newBroker(t), slog.New(slog.DiscardHandler))
	if err := sp.Run(t.Context()); session.KindOf(err) != session.Internal {
		t.Fatalf("Run: %v", err)
	}
}
