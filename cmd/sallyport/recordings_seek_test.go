package main

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// A tape that begins at a moment gives what happened from then on, and one that is played
// through finds its recording's pictures honest.
func TestATapeBeginsAtAMoment(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	input, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	now, dir := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), filepath.Join(t.TempDir(), "rec")
	w, err := recordings.Create(dir, recordings.Header{Recording: session.NewID().Recording(), Session: session.NewID().Session(),
		Request: session.NewID().Request(), GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh",
		Protocol: session.SSH}, recordings.Options{Signer: key, InputRecipient: input.Recipient().String(), SegmentTime: time.Hour,
		HeadEvery: time.Hour, Picture: mirror.NewStreams(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		e := session.Event{Kind: session.Output, Stream: 1, Data: fmt.Appendf(nil, "minute %d\r\n", n)}
		if n == 0 {
			e = session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":80,"rows":24}`)}
		}
		if err := w.Record(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(session.Completed); err != nil {
		t.Fatal(err)
	}
	r, err := recordings.Follow(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var said bytes.Buffer
	p := &program{stderr: &said}
	played, done := p.checked(r)
	events := 0
	if err := each(played, func(session.Event) error { events++; return nil }); err != nil || events != 60 {
		t.Fatalf("%d events, %v", events, err)
	}
	if done(); said.Len() > 0 {
		t.Errorf("said: %s", said.String())
	}
	for at, want := range map[time.Duration]int{0: 60, time.Microsecond: 0} { // the clock stands
		from, err := seek(r, at)
		if err != nil {
			t.Fatal(err)
		}
		if at == 0 {
			if _, err := r.Begin(0); err != nil {
				t.Fatal(err)
			}
		}
		got := 0
		if err := each(from, func(session.Event) error { got++; return nil }); err != nil || got != want {
			t.Errorf("from %v on %d events, %v", at, got, err)
		}
	}
}
