package mirror

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// player does with a part what a page does with it.
type player struct {
	t      *testing.T
	screen *Mirror
}

func (p *player) begin(part replay.Part) {
	p.screen = New(80, 24)
	for _, s := range part.Screens {
		p.screen = Restore(session.Screen{Cols: s.Cols, Rows: s.Rows, Draw: s.Draw})
	}
}

func (p *player) happen(e replay.Event) {
	var cols, rows int
	switch e.Kind {
	case "o":
		b, err := base64.StdEncoding.DecodeString(e.Data)
		if err != nil {
			p.t.Fatal(err)
		}
		p.screen.Write(b)
	default:
		if _, err := fmt.Sscanf(e.Data, "%dx%d", &cols, &rows); err != nil {
			p.t.Fatal(err)
		}
		p.screen.Resize(cols, rows)
	}
}

// A part begun by itself shows at each of its moments what the parts show that are played
// from the first one on: full-screen programs, other sizes, all of it.
func TestAPartBegunShowsWhatIsPlayedThrough(t *testing.T) {
	c := &counted{t: t, dir: recorded(t, worked(t), NewStreams())}
	r := c.reader()
	defer r.Close()
	l, err := r.Length()
	if err != nil || !l.Sealed || l.Segments < 8 {
		t.Fatal(l, err)
	}
	through, begun := &player{t: t, screen: New(80, 24)}, &player{t: t, screen: New(80, 24)}
	var parts []replay.Part
	for n := range l.Segments {
		scene, err := r.Scene(n)
		if err != nil {
			t.Fatal(err)
		}
		part := replay.PartOf(scene, nil)
		if !part.Complete || part.N != n || n > 0 && len(part.Screens) != 1 {
			t.Fatalf("part %d: complete %v, %d screens", n, part.Complete, len(part.Screens))
		}
		begun.begin(part)
		for i, e := range part.Events {
			if x, y := picture(begun.screen), picture(through.screen); x != y {
				t.Fatalf("part %d, event %d: only begun\n%s\nonly played through\n%s", n, i, without(x, y), without(y, x))
			}
			through.happen(e)
			begun.happen(e)
		}
		parts = append(parts, part)
	}
	pages(t, l.At, parts)
}

var update = flag.Bool("update", false, "write the parts that the page's tests show")

// pages keeps the parts, as the broker answers them, for the tests of the page: there a
// terminal that is not ours draws them.
func pages(t *testing.T, duration int64, parts []replay.Part) {
	t.Helper()
	type shape struct {
		N        uint32            `json:"n"`
		From     int64             `json:"from"`
		To       int64             `json:"to"`
		Complete bool              `json:"complete"`
		Screens  []terminal.Screen `json:"screens"`
		Consoles []replay.Console  `json:"consoles"` // none
		Events   []replay.Event    `json:"events"`
	}
	all := struct {
		Duration int64   `json:"duration"`
		Parts    []shape `json:"parts"`
	}{Duration: duration}
	for _, p := range parts {
		all.Parts = append(all.Parts, shape{p.N, p.From, p.To, p.Complete, p.Screens, []replay.Console{}, p.Events})
	}
	got, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	const file = "../../../broker/web/e2e/worked.json"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != string(got) {
		t.Errorf("the page's tests show other parts (%v): look at the difference, then run go test ./session/terminal/mirror -update", err)
	}
}
