package access_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// What points to a request ends with it: soon when the agent refused it, a day after it was
// denied or its window closed, and never where an agent holds a grant.
func TestKeysAndGrantsEndWithTheirRequests(t *testing.T) {
	server := miniredis.RunT(t)
	w := newWorldAt(t, "redis://"+server.Addr())
	key := func(kind, name string) string {
		sum := sha256.Sum256([]byte(name))
		return "sallyport:{" + kind + "}:doc:" + hex.EncodeToString(sum[:])
	}
	ends := func(what, kind, name string, least, most time.Duration) {
		t.Helper()
		if ttl := server.TTL(key(kind, name)); !server.Exists(key(kind, name)) || ttl < least || ttl > most {
			t.Errorf("%s: there %v, and ends in %v, want %v to %v", what, server.Exists(key(kind, name)), ttl, least, most)
		}
	}
	const day, near = 24 * time.Hour, time.Minute
	window := 4 * time.Hour // of what accesstest asks for

	refused := accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock())
	w.agent.Refuse = &link.Verdict{Kind: session.Refused, Message: "no"}
	if _, err := w.Submit(t.Context(), ada, accesstest.Bytes(refused), accesstest.Proof("ada")); err == nil {
		t.Fatal("taken")
	}
	w.agent.Refuse = nil
	ends("the agent refused", "key", refused.Key, near, 10*time.Minute)
	_, err := w.Submit(t.Context(), ada, accesstest.Bytes(refused), accesstest.Proof("ada")) // it may be asked again
	w.must(err)
	ends("the agent took it", "key", refused.Key, window+day-near, window+day)

	r, raw := w.submit(ada)
	own := w.doc(r).Key
	ends("it waits", "key", own, window+day-near, window+day)
	g := w.agent.Grant(raw)
	w.agent.Refuse = &link.Verdict{Kind: session.Refused, Message: "no"}
	if _, _, err := w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(g), accesstest.Proof("ben")); err == nil {
		t.Fatal("approved")
	}
	w.agent.Refuse = nil
	ends("a grant that was refused", "grant", g.GID, window+day-near, window+day)
	_, _, err = w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(g), accesstest.Proof("ben"))
	w.must(err)
	ends("the same, taken", "grant", g.GID, 0, 0)
	ends("its key", "key", own, window+day-near, window+day)
	joined := accesstest.NewKey()
	_, err = w.Activate(t.Context(), ada, r.ID, joined, accesstest.Proof("ada"))
	w.must(err)
	ends("a key that joined", "key", joined, day-near, window+day)

	_, err = w.Withdraw(t.Context(), ada, r.ID)
	w.must(err)
	ends("taken back", "key", own, day-near, day)
	ends("taken back", "key", joined, day-near, day)
	ends("taken back", "grant", g.GID, 0, 0)
	other, _ := w.submit(ada)
	_, err = w.Deny(t.Context(), ben, other.ID, "in use")
	w.must(err)
	ends("denied", "key", w.doc(other).Key, day-near, day)
	t.Log("ATTACK | requests that an agent refuses, each with a key of its own | what they leave ends within ten minutes, with no request a day after it at the most | 10m0s | holds")
}
