package shell

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// counts is what carried something: typed bytes by their letter, and requests by their kind.
type counts map[string]int

func (c counts) String() string {
	var all []string
	for what, n := range c {
		all = append(all, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (c counts) typed(data []byte) {
	for _, letter := range []byte("abc") {
		if n := bytes.Count(data, []byte{letter}); n > 0 {
			c[string(letter)] += n
		}
	}
}

// reachedDevice is what the device got.
func (o *oracle) reachedDevice() counts {
	requests, input := o.seen()
	c := counts{}
	c.typed(input)
	for _, r := range requests {
		kind, _, _ := strings.Cut(r, " ")
		c[kind]++
	}
	return c
}

// onRecord is what the recordings say that it got.
func (w *world) onRecord() counts {
	w.mu.Lock()
	tapes := slices.Clone(w.tapes)
	w.mu.Unlock()
	c := counts{}
	for _, r := range tapes {
		r.mu.Lock()
		for _, e := range r.events {
			switch {
			case e.Kind == session.Input:
				c.typed(e.Data)
			case e.Kind == session.Resize:
				c["window-change"]++
			case e.Kind == session.Signal:
				c["signal"]++
			case e.Kind == session.ChannelOpened && strings.Contains(string(e.Data), `"shell"`):
				c["shell"]++
			case e.Kind == session.Marker && strings.Contains(string(e.Data), `"terminal`):
				c["pty-req"]++
			}
		}
		r.mu.Unlock()
	}
	return c
}

// typist works on a shell as fast as it can, until its connection is gone.
func typist(ch gossh.Channel, letter byte, r *rand.Rand) {
	for {
		var err error
		switch r.IntN(4) {
		case 0:
			_, err = ch.SendRequest("window-change", false, []byte{0, 0, 0, byte(50 + r.IntN(100)), 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0})
		case 1:
			_, err = ch.SendRequest("signal", true, str("USR1"))
		default:
			_, err = ch.Write([]byte(strings.Repeat(string(letter), 1+r.IntN(300))))
		}
		if err != nil {
			return
		}
	}
}

// A device that counts what it gets, and several connections that type without end: what
// is acknowledged as frozen or ended gets nothing more, and all that came stands on record.
func TestACountingDeviceGetsWhatIsOnRecordAndNothingMore(t *testing.T) {
	freezes, arrived := 0, 0
	for seed := range uint64(2) {
		o := newOracle(t)
		w := newWorld(t, o.dial)
		signer, p := w.grant(all()...)
		var typing sync.WaitGroup
		for i := range byte(3) {
			ch, reqs, err := w.mustConnect(signer).OpenChannel("session", nil)
			must(t, err)
			go gossh.DiscardRequests(reqs)
			go func() {
				b := make([]byte, 32<<10)
				for _, err := ch.Read(b); err == nil; _, err = ch.Read(b) {
				}
			}()
			for _, ask := range []struct {
				kind    string
				payload []byte
			}{{"pty-req", ptyPayload("xterm", "")}, {"shell", nil}} {
				if ok, err := ch.SendRequest(ask.kind, true, ask.payload); err != nil || !ok {
					t.Fatalf("%s: %v, %v", ask.kind, ok, err)
				}
			}
			own := rand.New(rand.NewPCG(seed, uint64(i)+2))
			typing.Go(func() { typist(ch, 'a'+i, own) })
		}
		for range 4 {
			more := w.onRecord().String()
			w.until("more is typed", func() bool { return w.onRecord().String() != more })
			_, err := w.engine.Freeze(p.ID, "local", "the operator")
			must(t, err)
			frozen := w.onRecord()
			w.until("the device has all that was sent", func() bool { return o.reachedDevice().String() == frozen.String() })
			_, err = w.connect(signer) // somebody tries, and is answered
			must(t, err)
			if after := w.onRecord(); after.String() != frozen.String() || o.reachedDevice().String() != frozen.String() {
				t.Fatalf("seed %d: frozen at %v, then %v on record, %v at the device", seed, frozen, after, o.reachedDevice())
			}
			freezes++
			_, err = w.engine.Thaw(p.ID, "local", "the operator")
			must(t, err)
		}
		must(t, w.engine.End(p.ID, session.KilledLocal, "the operator"))
		ended := w.onRecord()
		typing.Wait()
		w.tape(0).wait(t)
		if after := w.onRecord(); after.String() != ended.String() {
			t.Errorf("seed %d: %v on record at the end, then %v", seed, ended, after)
		}
		for what, n := range o.reachedDevice() {
			if n > ended[what] {
				t.Errorf("seed %d: the device got %d of %s, and %d are on record", seed, n, what, ended[what])
			}
			arrived += n
		}
	}
	t.Logf("ATTACK | three connections that type on through a freeze and a kill, at a device that counts | 0 bytes after it is acknowledged, all on record | 0 of %d in %d freezes | holds", arrived, freezes)
}
