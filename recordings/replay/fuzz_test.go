package replay_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"testing"
	"unicode"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/session"
)

// script is a recording of one event after the other, cut out of bytes.
type script struct {
	rest []byte
	at   int64
}

func (s *script) Header() recordings.Header         { return recordings.Header{} }
func (s *script) Segments() uint32                  { return 0 }
func (s *script) Seal() (recordings.SealInfo, bool) { return recordings.SealInfo{At: s.at}, true }

func (s *script) Next() (session.Event, error) {
	if len(s.rest) < 4 {
		return session.Event{}, io.EOF
	}
	n := min(int(s.rest[2])*4, len(s.rest)-4)
	e := session.Event{Kind: session.EventKind(s.rest[0]), Stream: uint32(s.rest[1] % 8), At: s.at, Data: s.rest[4 : 4+n]}
	s.at += int64(s.rest[3]) << 20
	s.rest = s.rest[4+n:]
	return e, nil
}

// Whatever stands in a recording, what is made of it is bounded, plain and whole.
func FuzzReplay(f *testing.F) {
	add := func(events ...session.Event) {
		var b []byte
		for _, e := range events {
			data := e.Data
			for len(data)%4 != 0 {
				data = append(data, ' ')
			}
			b = append(append(b, byte(e.Kind), byte(e.Stream), byte(len(data)/4), 1), data...)
		}
		f.Add(b)
	}
	add(session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":80,"rows":24}`)},
		session.Event{Kind: session.Output, Stream: 1, Data: []byte("\x1b]0;x\x07one\r\ntwo\n")}, session.Event{Kind: session.Input, Stream: 1, Data: []byte("typed")},
		session.Event{Kind: session.Resize, Stream: 1, Data: []byte(`{"cols":4294967295,"rows":0}`)}, session.Event{Kind: session.ChannelClosed, Stream: 1})
	add(session.Event{Kind: session.FileClosed, Stream: 2, Data: []byte(`{"path":"/a\u001b[2J","direction":"files-in","size":-1,"reason":"\u202e"}`)},
		session.Event{Kind: session.FileAction, Stream: 2, Data: []byte(`{"action":"rename","path":"a","target":"b"}`)},
		session.Event{Kind: session.NotAllowed, Data: []byte(`{"what":"x11-req"}`)}, session.Event{Kind: session.Marker, Data: []byte(`{"kind":"frozen","text":"Frozen (local) by x"}`)},
		session.Event{Kind: session.ChannelOpened, Stream: 3, Data: []byte(`{"type":"exec","command":"id\n"}`)}, session.Event{Kind: session.ErrorOutput, Stream: 3, Data: []byte("\n\n\xff\xc3")})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		all := replay.Begin(&script{rest: b})
		if more, err := all.On(1); more || err != nil {
			t.Fatal(more, err)
		}
		ix := all.Index()
		lines := textOf(t, &script{rest: b})
		var texts []string
		for _, m := range ix.Markers {
			texts = append(texts, m.Text)
		}
		for _, c := range ix.Channels {
			texts = append(texts, c.Text)
		}
		for _, l := range lines {
			texts = append(texts, l.Text)
		}
		for _, s := range texts {
			for _, r := range s {
				if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
					t.Fatalf("%U in %q", r, s)
				}
			}
		}
		scene, shown, strip := recordings.Scene{}, int64(0), int64(0)
		for src := (&script{rest: b}); ; {
			e, err := src.Next()
			if err != nil {
				break
			}
			scene.Events = append(scene.Events, e)
		}
		p := replay.PartOf(scene, nil)
		for _, e := range p.Events {
			if e.Kind == "o" || e.Kind == "w" || e.Kind == "t" || e.Kind == "k" { // what is shown, or drawn
				data, err := base64.StdEncoding.DecodeString(e.Data)
				if err != nil {
					t.Fatal(err)
				}
				shown += int64(len(data))
			}
		}
		for _, n := range ix.Activity {
			strip += n
		}
		if shown != strip || len(ix.Activity) > replay.Buckets || len(ix.Activity) == 0 || !ix.Whole {
			t.Fatalf("%d bytes in the part, %d in the strip of %d", shown, strip, len(ix.Activity))
		}
		if _, err := json.Marshal(p.Events); err != nil {
			t.Fatal(err)
		}
	})
}
