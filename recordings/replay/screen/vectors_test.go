package screen_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"image"
	mathrand "math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/recordings/replay"
	show "github.com/sallyport/sallyport/recordings/replay/screen"
	"github.com/sallyport/sallyport/session"
)

var update = flag.Bool("update", false, "write the console that the page's tests show")

type (
	standing struct {
		Stream uint32 `json:"stream"`
		Draw   []byte `json:"draw"`
	}
	part struct {
		N        uint32         `json:"n"`
		From     int64          `json:"from"`
		To       int64          `json:"to"`
		Complete bool           `json:"complete"`
		Screens  []any          `json:"screens"`
		Consoles []standing     `json:"consoles"`
		Events   []replay.Event `json:"events"`
	}
	// seen is what stands at a moment: the hash is of red, green, blue and alpha of all pixels.
	seen struct {
		At     int64  `json:"at"`
		W      int    `json:"w"`
		H      int    `json:"h"`
		Hidden bool   `json:"hidden"`
		SHA256 string `json:"sha256"`
	}
	// vectors are a console's recording as the broker answers it, and what a page that draws
	// it must show.
	vectors struct {
		Duration int64    `json:"duration"`
		Parts    []part   `json:"parts"`
		Seen     []seen   `json:"seen"`
		Refused  [][]byte `json:"refused"` // tiles that cannot be, on a screen of 130 x 70
	}
)

// The page draws what we draw, in a browser and without us.
func TestVectorsForThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mathrand.New(mathrand.NewPCG(4, 2))
		c := newConsole(t)
		c.hidden = image.Rect(20, 20, 140, 34)
		c.Resize(480, 320)
		c.gui(r, 0)
		c.Show()
		for n := range 22 {
			pass(2 * time.Second)
			switch n % 5 {
			case 4:
				c.scribble(r)
			case 3:
				c.hidden = image.Rectangle{}
				if n > 10 {
					c.Resize(390+n, 300)
					c.gui(r, 0)
				}
			default:
				c.label(r, 100)
			}
			c.Show()
			if n%4 == 0 {
				must(t, c.w.Record(session.Event{Kind: session.Input, Stream: stream, Data: frames.KeyData('a', 0, true)}))
			}
		}
		pass(2 * time.Second)
		c.close()
		src := c.open()
		length, err := src.Length()
		must(t, err)
		all := vectors{Duration: length.At}
		for n := range length.Segments {
			scene, err := replay.SceneFrom(src, n, 128)
			must(t, err)
			p := replay.PartOf(scene, nil)
			out := part{N: p.N, From: p.From, To: p.To, Complete: p.Complete, Screens: []any{}, Consoles: []standing{}, Events: p.Events}
			for _, x := range p.Consoles {
				out.Consoles = append(out.Consoles, standing(x))
			}
			all.Parts = append(all.Parts, out)
		}
		player := show.Open(src)
		for at := int64(1e6); at < length.At; at += 2e6 {
			must(t, player.Jump(at))
			sum := sha256.Sum256(show.Picture(&player.Screen).Pix)
			all.Seen = append(all.Seen, seen{at, player.Size.X, player.Size.Y, player.Hidden, hex.EncodeToString(sum[:])})
		}
		all.Refused = refused(t)
		keep(t, all)
	})
}

// refused are tiles that nobody may draw.
func refused(t *testing.T) [][]byte {
	all := [][]byte{{0}, {0, 0}, {3, 0, 1, 1, 2, 3}, {0, 2, 1, 1, 2, 3}, {0, 0, 254}, {0, 0, 255, 0, 0}, {0, 0, 254, 0, 0, 0, 5, 1, 1, 2, 3},
		{0, 0, 254, 60, 0, 5, 5, 1, 1, 2, 3}, {2, 1, 254, 0, 0, 2, 7, 1, 1, 2, 3}, {0, 0, 254, 0, 0, 5, 5, 254, 0, 0, 1, 1, 1, 1, 2, 3}, {0, 0, 254, 0, 0, 5, 5, 255, 0, 0}, {0, 0, 0, 1, 2, 3}, {0, 0, 2, 1, 2, 3, 4, 5},
		{0, 0, 1, 1, 2, 3, 0, 0, 1, 1, 2, 3}, {1, 0, 1, 1, 2, 3, 0, 0, 1, 1, 2, 3}, {0, 0, 1, 1, 2, 3, 2, 0, 255, 0, 0}, append([]byte{0, 0, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3}, make([]byte, 16*64)...)}
	all[len(all)-1][12] = 0xff // an index beyond the colours
	for _, b := range all {
		s := &frames.Screen{}
		must(t, s.Resize(frames.SizeData(image.Pt(130, 70), false)))
		if _, err := s.Draw(b); err == nil {
			t.Errorf("%v is drawn", b)
		}
	}
	return all
}

func keep(t *testing.T, all vectors) {
	got, err := json.Marshal(all)
	must(t, err)
	const file = "../../../broker/web/e2e/console.json"
	if *update {
		must(t, os.WriteFile(file, got, 0o644))
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != string(got) {
		t.Errorf("the page's tests show another console (%v): look at the difference, then run go test ./recordings/replay/screen -update", err)
	}
}
