package frames_test

import (
	"bytes"
	"errors"
	"image"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
)

func TestInputComesBack(t *testing.T) {
	for _, c := range []struct {
		data []byte
		want frames.Input
	}{
		{frames.KeyData(0xffe3, 0x1d, true), frames.Input{Kind: frames.Key, Sym: 0xffe3, Code: 0x1d, Down: true}},
		{frames.KeyData('a', 0, false), frames.Input{Kind: frames.Key, Sym: 'a'}},
		{frames.PointerData(image.Pt(1919, 1079), 5), frames.Input{Kind: frames.Pointer, At: image.Pt(1919, 1079), Buttons: 5}},
		{frames.PointerData(image.Pt(-3, 1<<20), 0), frames.Input{Kind: frames.Pointer, At: image.Pt(0, 0xffff)}},
		{[]byte("Cgrüße"), frames.Input{Kind: frames.Text, Text: "grüße"}},
		{[]byte("c"), frames.Input{Kind: frames.More}},
	} {
		if got, err := frames.ParseInput(c.data); err != nil || got != c.want {
			t.Errorf("%q: %+v, %v", c.data, got, err)
		}
	}
	for _, bad := range []string{"", "K", "P1234", "P1234567", "K12345678\x02", "C\xff", "X", "C" + strings.Repeat("a", session.MaxEventData)} {
		if _, err := frames.ParseInput([]byte(bad)); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

// A text of any length is whole again, and no event is too long or ends inside a letter.
func TestATextInPieces(t *testing.T) {
	for _, text := range []string{"", "a", strings.Repeat("a", session.MaxEventData-1), strings.Repeat("aé€😀", 20_000)} {
		var got strings.Builder
		var kinds []frames.InputKind
		if err := frames.TextData(text, func(b []byte) error {
			in, err := frames.ParseInput(b)
			got.WriteString(in.Text)
			kinds = append(kinds, in.Kind)
			return err
		}); err != nil || got.String() != text {
			t.Errorf("%d bytes come back as %d, %v", len(text), got.Len(), err)
		}
		if kinds[0] != frames.Text || slices.Contains(kinds[1:], frames.Text) {
			t.Errorf("%q of %d bytes", kinds, len(text))
		}
	}
	var got []byte
	_ = frames.TextData("a\xffb", func(b []byte) error { got = slices.Clone(b); return nil })
	if string(got) != "Ca\ufffdb" {
		t.Errorf("%q", got)
	}
	lost := errors.New("lost")
	if err := frames.TextData("a", func([]byte) error { return lost }); !errors.Is(err, lost) {
		t.Error(err)
	}
}

func FuzzInput(f *testing.F) {
	for _, s := range [][]byte{frames.KeyData(1, 2, true), frames.PointerData(image.Pt(1, 2), 3), []byte("Ctext"), []byte("cmore")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := frames.ParseInput(b)
		if err != nil {
			return
		}
		again := append([]byte{byte(in.Kind)}, in.Text...)
		switch in.Kind {
		case frames.Key:
			again = frames.KeyData(in.Sym, in.Code, in.Down)
		case frames.Pointer:
			again = frames.PointerData(in.At, in.Buttons)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%q is written again as %q", b, again)
		}
	})
}
