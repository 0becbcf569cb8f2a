package spool_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// What is refused for ever is said in plain words, tried ever more rarely, and nothing
// waits behind it: a live recording's parts go up as they close, no time passing, and the
// other parts of the same recording, its seal among them, are up as well.
func TestWhatCannotBeStoredIsShownAndNothingWaits(t *testing.T) {
	for name, refusal := range map[string]error{
		"refused":         session.Errorf(session.Refused, "Another content is there\x1b[2J").WithNext("Look for two agents with one identity."),
		"breaks the link": unreachable(),
		"unknown":         errors.New("boom"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t), newBroker(t)
				bad := s.finished(6)
				var told []spool.Trouble
				tries := map[string]int{}
				b.fail = func(p link.Put) (error, bool) {
					if p.Recording == bad && (p.Part == "seg-000001" || p.Part == "seg-000004") {
						tries[p.Part]++
						return refusal, false
					}
					return nil, true
				}
				s.run(b, func(sp *spool.Spool) {
					w, id := s.begin(sp.Kick)
					late := 0
					for n := range 240 { // four minutes of it
						s.say(w, 1)
						synctest.Wait()
						if _, order, _ := b.has(); n > 60 && !slices.Contains(order, id+"/"+recordings.SegmentPart(uint32(n-1))) {
							late++
						}
						settle(time.Second)
					}
					if late > 0 && name != "breaks the link" { // a link that breaks is waited for
						t.Errorf("%d parts of another recording waited", late)
					}
					stored, _, _ := b.has()
					for _, part := range []string{"header", "seg-000000", "seg-000002", "seg-000003", "seg-000005", "seal"} {
						if _, ok := stored[bad+"/"+part]; !ok {
							t.Errorf("%s waits behind what is refused", part)
						}
					}
					all := sp.Troubles()
					if len(all) != 1 || all[0].Recording != bad || all[0].Parts != 2 || all[0].Header.Recording != bad || all[0].Since.IsZero() ||
						!strings.HasPrefix(all[0].Message, "The segment 00000") || strings.ContainsRune(all[0].Message, '\x1b') || all[0].Next == "" {
						t.Fatalf("shown: %+v", all)
					}
					if name == "refused" && (!strings.Contains(all[0].Message, "Another content is there") || all[0].Next != "Ask whoever runs the broker, which advises: Look for two agents with one identity.") {
						t.Errorf("the broker's words are lost: %+v", all[0])
					}
					if n := tries["seg-000001"]; n < 5 || n > 40 && name != "breaks the link" {
						t.Errorf("tried %d times in four minutes", n)
					}
					if len(told) < 1 || len(told) > 4 {
						t.Errorf("told %d times of two parts", len(told))
					}
					b.from(fine)
					settle(10 * time.Minute)
					if left := sp.Troubles(); len(left) != 0 || told[len(told)-1].Part != "" {
						t.Errorf("stored after all: %+v, told %+v", left, told[len(told)-1])
					}
					if err := w.Close(session.Completed); err != nil {
						t.Fatal(err)
					}
					settle(time.Minute)
				}, spool.Refused(func(x spool.Trouble) { told = append(told, x) }))
				if left := s.names(); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		})
	}
}

// A part that breaks the connection is known for what it is also where nothing else is left
// to be sent, and where the broker is away nothing is shown.
func TestOneBadPartIsNoBrokerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		id := s.finished(2)
		b.fail = func(p link.Put) (error, bool) {
			if p.Part == "seg-000001" {
				return unreachable(), false
			}
			return nil, true
		}
		s.run(b, func(sp *spool.Spool) {
			settle(10 * time.Minute)
			stored, _, _ := b.has()
			if _, ok := stored[id+"/seal"]; !ok {
				t.Error("the seal waits behind a part that breaks the link")
			}
			if all := sp.Troubles(); len(all) != 1 || all[0].Part != "seg-000001" {
				t.Errorf("shown: %+v", all)
			}
		})
	})
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		s.finished(3)
		b.fail = func(p link.Put) (error, bool) {
			if p.Part == "header" && b.puts == 1 {
				return nil, true
			}
			return unreachable(), false
		}
		s.run(b, func(sp *spool.Spool) {
			if settle(24 * time.Hour); len(sp.Troubles()) != 0 {
				t.Errorf("a broker that is away is shown as %+v", sp.Troubles())
			}
		})
	})
}

// What the disk spoiled is shown as what it is.
func TestASpoiledPartIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t), newBroker(t)
		id := s.finished(3)
		corrupt(t, filepath.Join(s.dir, id, "seg-000001"))
		s.run(b, func(sp *spool.Spool) {
			settle(time.Hour)
			all := sp.Troubles()
			if len(all) != 1 || all[0].Part != "seg-000001" || all[0].Parts != 1 || !strings.Contains(all[0].Next, "disk") {
				t.Errorf("shown: %+v", all)
			}
		})
	})
}
