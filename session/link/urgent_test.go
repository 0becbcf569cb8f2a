package link

import (
	"crypto/tls"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/session"
)

// However many requests an agent works on, what ends or stops something is taken at once.
func TestAFloodOfQuestionsKeepsNothingUrgentWaiting(t *testing.T) {
	urgent := map[verb][]any{
		verbEnd:     {End{Session: session.ID{1}.Session(), Reason: session.KilledRemote}},
		verbDeliver: {Deliver{Kind: DeliverFreeze}, Deliver{Kind: DeliverRevoke}, Deliver{Kind: DeliverWithdraw}, Deliver{Kind: DeliverDisable}},
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		h := &idleHandler{block: make(chan struct{})}
		const flood = 100
		answers := make(chan uint32, 2*flood)
		c, _ := w.client(h, oneNode, func(_ string, conn *tls.Conn) {
			f, _ := welcome(conn)
			var writer sync.WaitGroup
			writer.Go(func() {
				for i := range flood {
					_ = write(f, verbDeliver, uint32(i+1), Deliver{Kind: DeliverRequest})
				}
				id := uint32(1000)
				for v, all := range urgent {
					for _, m := range all {
						id++
						_ = writeAny(f, v, id, m)
					}
				}
			})
			for {
				got, err := readFrame(conn, verbVerdict, verbPing)
				if err != nil {
					break
				}
				if got.verb == verbPing {
					_ = f.ping()
				} else if v, _ := decode[Verdict](got.payload); got.id > 1000 && v.OK {
					answers <- got.id
				}
			}
			writer.Wait()
		})
		stop := live(t, c)
		for range 5 {
			<-answers // while the flood waits
		}
		close(h.block)
		stop()
	})
	t.Logf("ATTACK | 100 requests that take their time keep an agent from a kill | answered at once | 5 of 5 | holds")
}

func writeAny(f *framer, v verb, id uint32, m any) error {
	if d, ok := m.(Deliver); ok {
		return write(f, v, id, d)
	}
	return write(f, v, id, m.(End))
}

// However many questions wait for an agent's answer, one that ends something is asked.
func TestUnansweredQuestionsLeaveRoomForUrgentOnes(t *testing.T) {
	c := newCalls()
	for range maxCalls {
		if _, _, err := c.begin(maxCalls); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.begin(maxCalls); err != errBusy {
		t.Errorf("one question too many: %v", err)
	}
	for range maxUrgent {
		if _, _, err := c.begin(maxCalls + maxUrgent); err != nil {
			t.Errorf("an urgent one: %v", err)
		}
	}
}

// The broker's own questions and people's streams have slots apart.
func TestStreamsAndQuestionsTakeNothingFromEachOther(t *testing.T) {
	w := newWorld(t)
	c, _ := w.client(&idleHandler{}, oneNode, nil)
	stream := Open{Token: aSecret, Node: oneNode[0].Name, Asset: "NGH-PETCT1", Service: "recon-ssh", Door: DoorSSH}
	question := Open{Token: aSecret, Node: oneNode[0].Name, Issuer: "https://login.example", Door: DoorIssuer}
	fill := func(o Open) (n int) {
		for {
			if _, err := c.admit(o); err != nil {
				return n
			}
			n++
		}
	}
	if n := fill(stream); n != MaxStreams-maxQuestions {
		t.Errorf("%d streams", n)
	}
	if n := fill(question); n != maxQuestions {
		t.Errorf("%d questions beside the streams", n)
	}
	c.release(stream)
	if _, err := c.admit(stream); err != nil {
		t.Error(err)
	}
}
