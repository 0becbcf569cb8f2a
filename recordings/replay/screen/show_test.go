package screen_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"image"
	"image/png"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/recordings/replay"
	show "github.com/sallyport/sallyport/recordings/replay/screen"
	"github.com/sallyport/sallyport/session"
)

// console is a console that is recorded as it is drawn: what is shown is what is recorded,
// tile by tile. That session/screen does so is for its own tests.
type console struct {
	t       testing.TB
	dir     string
	w       *recordings.Writer
	encoder *frames.Encoder
	began   time.Time
	size    image.Point
	back    []uint32
	pix     []uint32 // what is live; nil after another size
	hidden  image.Rectangle
}

const stream = 3

// prove makes tests longer.
var prove = os.Getenv("SALLYPORT_PROVE") != ""

func newConsole(t testing.TB) *console {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	input, err := age.GenerateX25519Identity()
	must(t, err)
	c := &console{t: t, dir: filepath.Join(t.TempDir(), "rec"), encoder: frames.NewEncoder(), began: time.Now()}
	c.w, err = recordings.Create(c.dir, recordings.Header{
		Recording: session.NewID().Recording(), Session: session.NewID().Session(), Request: session.NewID().Request(),
		GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "console-vnc", Protocol: session.VNC,
		Engineer: session.Person{Identity: session.Identity{Iss: "https://idp.helion.example", Sub: "e1"}, Email: "eva@helion.example"},
	}, recordings.Options{Signer: key, InputRecipient: input.Recipient().String(), Picture: frames.NewPicture()})
	must(t, err)
	c.record(session.ChannelOpened, []byte(`{"type":"control"}`))
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *console) record(kind session.EventKind, data []byte) {
	c.t.Helper()
	must(c.t, c.w.Record(session.Event{Kind: kind, Stream: stream, Data: data}))
}

// Bounds, Resize, Draw, Fill and Copy are those of any screen.
func (c *console) Bounds() image.Rectangle { return image.Rectangle{Max: c.size} }

func (c *console) Resize(w, h int) {
	c.size, c.back, c.pix = image.Pt(w, h), make([]uint32, w*h), nil
}

func (c *console) Draw(r image.Rectangle, pix []uint32, stride int) {
	in := r.Intersect(c.Bounds())
	for y := in.Min.Y; y < in.Max.Y; y++ {
		for x := in.Min.X; x < in.Max.X; x++ {
			c.back[y*c.size.X+x] = pix[(y-r.Min.Y)*stride+x-r.Min.X]
		}
	}
}

func (c *console) Fill(r image.Rectangle, colour uint32) {
	c.Draw(r, slices.Repeat([]uint32{colour}, r.Dx()*r.Dy()), r.Dx())
}

// Show records what changed, and then it is what is live.
func (c *console) Show() {
	c.t.Helper()
	c.Fill(c.hidden, 0x3a4450)
	was := c.pix
	if was == nil {
		c.record(session.ScreenSize, frames.SizeData(c.size, !c.hidden.Empty()))
		c.pix = make([]uint32, len(c.back))
	}
	var tiles []image.Point
	for y := 0; y < c.size.Y; y += frames.Tile {
		for x := 0; x < c.size.X; x += frames.Tile {
			if c.differs(image.Rect(x, y, x+frames.Tile, y+frames.Tile).Intersect(c.Bounds())) {
				tiles = append(tiles, image.Pt(x/frames.Tile, y/frames.Tile))
			}
		}
	}
	c.pix = slices.Clone(c.back)
	must(c.t, c.encoder.Tiles(c.size, was, c.pix, tiles, func(b []byte) error {
		c.record(session.ScreenTiles, b)
		return nil
	}))
}

func (c *console) differs(r image.Rectangle) bool {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		if !slices.Equal(c.back[y*c.size.X+r.Min.X:y*c.size.X+r.Max.X], c.pix[y*c.size.X+r.Min.X:y*c.size.X+r.Max.X]) {
			return true
		}
	}
	return false
}

func (c *console) close() {
	c.t.Helper()
	c.record(session.ChannelClosed, nil)
	must(c.t, c.w.Close(session.Completed))
}

// pass lets time pass, and what is due be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (c *console) open() *recordings.Reader {
	c.t.Helper()
	r, err := recordings.Follow(c.dir)
	must(c.t, err)
	c.t.Cleanup(func() { r.Close() })
	return r
}

// moment is what was live at a time.
type moment struct {
	at   int64
	size image.Point
	pix  []uint32
}

// What a recording shows at any second is what was live at that second, whether one plays,
// jumps forward or jumps back.
func TestReplayIsWhatWasLive(t *testing.T) {
	seeds, steps := uint64(1), 90
	if prove {
		seeds, steps = 20, 120
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			r := mathrand.New(mathrand.NewPCG(seed, 7))
			c := newConsole(t)
			c.Resize(300+r.IntN(200), 200+r.IntN(200))
			var live []moment
			for range steps {
				c.scribble(r)
				c.Show()
				time.Sleep(time.Millisecond)
				live = append(live, moment{time.Since(c.began).Microseconds(), c.size, c.pix})
				pass(time.Duration(r.IntN(4000)) * time.Millisecond)
			}
			c.close()
			src := c.open()
			player := show.Open(src)
			stands := 0
			for n := range uint32(40) {
				if x, err := src.Scene(n); err == nil && len(x.Snapshots) > 0 {
					stands++
				}
			}
			if stands < 2 {
				t.Fatalf("%d segments say what stood", stands)
			}
			for range steps {
				m := live[r.IntN(len(live))]
				if r.IntN(3) == 0 {
					player = show.Open(src)
				}
				must(t, player.Jump(m.at))
				if player.Size != m.size || !slices.Equal(player.Pix, m.pix) {
					t.Fatalf("seed %d: at %d it shows something else", seed, m.at)
				}
			}
			if r.IntN(2) == 0 { // played from the beginning, change by change
				player = show.Open(src)
			}
			must(t, player.Jump(0))
			for _, m := range live {
				for {
					at, ok, err := player.Next()
					must(t, err)
					if !ok || at > m.at {
						break
					}
					must(t, player.Jump(at))
				}
				if !slices.Equal(player.Pix, m.pix) {
					t.Fatalf("seed %d: played to %d it shows something else", seed, m.at)
				}
			}
		})
	}
}

// scribble draws something somewhere.
func (c *console) scribble(r *mathrand.Rand) {
	b := c.Bounds().Max
	x, y := r.IntN(b.X), r.IntN(b.Y)
	part := image.Rect(x, y, min(b.X, x+1+r.IntN(160)), min(b.Y, y+1+r.IntN(120)))
	switch r.IntN(10) {
	case 0:
		c.Resize(200+r.IntN(300), 100+r.IntN(300))
	case 1:
		c.Draw(part.Sub(part.Min), slices.Clone(c.back[part.Min.Y*c.size.X+part.Min.X:]), c.size.X)
	case 2:
		c.record(session.ScreenCursor, frames.CursorData(frames.Cursor{Size: image.Pt(2, 2), Pix: []uint32{r.Uint32(), 1, 2, 3}}))
	case 3, 4, 5, 6:
		c.Fill(part, r.Uint32()&0xffffff)
	default:
		pix := make([]uint32, part.Dx()*part.Dy())
		for i := range pix {
			pix[i] = r.Uint32() & 0xffffff
		}
		c.Draw(part, pix, part.Dx())
	}
}

// gui draws what a console looks like: windows, text, and pictures of a scanner.
func (c *console) gui(r *mathrand.Rand, pictures int) {
	b := c.Bounds().Max
	c.Fill(c.Bounds(), 0x2f4858)
	for range 12 {
		at := image.Pt(r.IntN(max(1, b.X-300)), r.IntN(max(1, b.Y-200)))
		c.Fill(image.Rectangle{at, at.Add(image.Pt(300, 200))}, 0xd8dee2)
		for y := 10; y < 190; y += 14 {
			for x := 10; x < 290; x += 4 {
				if r.IntN(3) > 0 {
					c.Fill(image.Rect(x, y, x+1+r.IntN(3), y+1+r.IntN(9)).Add(at), uint32(r.IntN(3))*0x202020)
				}
			}
		}
	}
	for n := range pictures {
		c.slice(r, image.Pt(20+n%3*530, 20+n/3*530))
	}
}

// slice draws a picture of 512 x 512 greys, with the noise that such pictures have.
func (c *console) slice(r *mathrand.Rand, at image.Point) {
	pix := make([]uint32, 512*512)
	for i := range pix {
		x, y := i%512-256, i/512-256
		grey := uint32(20 + r.IntN(12))
		if d := x*x + y*y*2; d < 200*200 {
			grey = uint32(90 + d/600 + r.IntN(24))
		}
		pix[i] = grey<<16 | grey<<8 | grey
	}
	c.Draw(image.Rectangle{at, at.Add(image.Pt(512, 512))}, pix, 512)
}

// bytes are those of the recording's parts.
func (c *console) bytes() (n int64) {
	c.t.Helper()
	all, err := os.ReadDir(c.dir)
	must(c.t, err)
	for _, e := range all {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(c.t, err)
		n += info.Size()
	}
	return n
}

// An hour of a console costs what happens in it.
func TestWhatAnHourCosts(t *testing.T) {
	for _, x := range []struct {
		name  string
		every time.Duration // that something changes
		draw  func(*console, *mathrand.Rand)
		most  int64
	}{
		{"nothing changes", time.Hour, func(*console, *mathrand.Rand) {}, 200 << 10},
		{"a clock of minutes", time.Minute, func(c *console, r *mathrand.Rand) { c.label(r, 60) }, 150 << 10},
		{"a clock of seconds", time.Second, func(c *console, r *mathrand.Rand) { c.label(r, 60) }, 1200 << 10},
	} {
		if x.every == time.Second && !prove {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			r := mathrand.New(mathrand.NewPCG(1, 1))
			c := newConsole(t)
			c.Resize(1280, 1024)
			c.gui(r, 0)
			c.Show()
			pass(30 * time.Second)
			for range time.Hour / x.every {
				x.draw(c, r)
				c.Show()
				pass(x.every)
			}
			n := c.bytes()
			c.close()
			t.Logf("%s: %d kB an hour", x.name, n/1000)
			if n > x.most {
				t.Errorf("%s: %d bytes an hour, more than %d", x.name, n, x.most)
			}
		})
	}
}

// label writes something into a corner.
func (c *console) label(r *mathrand.Rand, wide int) {
	at := c.Bounds().Max.Sub(image.Pt(wide+4, 20))
	c.Fill(image.Rectangle{at, at.Add(image.Pt(wide, 14))}, 0x202830)
	for x := 0; x+6 < wide; x += 7 {
		c.Fill(image.Rect(x, 2, x+1+r.IntN(5), 3+r.IntN(10)).Add(at), 0xe0e0e0)
	}
}

// A console of 1920 x 1080 that shows six pictures of a scanner, whole and noisy, is drawn
// at the beginning of segments, and whoever jumps reads one stretch of it that is not long.
func TestABusyConsoleIsDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mathrand.New(mathrand.NewPCG(2, 2))
		c := newConsole(t)
		c.Resize(1920, 1080)
		c.gui(r, 6)
		c.Show()
		pass(11 * time.Second)
		steps := 25
		if prove {
			steps = 300
		}
		for range steps { // slices are looked through, one a second
			c.slice(r, image.Pt(20, 20))
			c.Show()
			pass(time.Second)
		}
		c.close()
		src := c.open()
		length, err := src.Length()
		must(t, err)
		stands, apart, most := 0, 0, 0
		since, segment := 0, 0 // bytes since it was drawn, and in the largest segment
		for n, last := uint32(1), 0; n < length.Segments; n++ {
			x, err := src.Scene(n)
			must(t, err)
			bytes := 0
			for _, e := range x.Events {
				bytes += len(e.Data)
			}
			segment = max(segment, bytes)
			if last++; len(x.Snapshots) > 0 {
				stands, apart, last, since = stands+1, max(apart, last), 0, 0
				most = max(most, len(x.Snapshots[0].Data))
			}
			if since += bytes; stands > 0 && since > 4*most+2*segment {
				t.Errorf("who begins at segment %d reads %d bytes beside a snapshot of %d", n, since, most)
			}
		}
		t.Logf("%d of %d segments say what stood, at most %d kB, at most %d apart; %d kB in %v", stands, length.Segments, most/1000, apart, c.bytes()/1000, time.Duration(length.At)*time.Microsecond)
		if stands == 0 || apart > 13 {
			t.Errorf("%d snapshots, %d segments apart", stands, apart)
		}
	})
}

func TestThumbs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsole(t)
		c.hidden = image.Rect(0, 0, 320, 480)
		c.Resize(640, 480)
		c.Fill(c.Bounds(), 0xff0000)
		c.Show()
		pass(15 * time.Second)
		c.Fill(c.Bounds(), 0x00ff00)
		c.Show()
		pass(15 * time.Second)
		c.close()
		src := c.open()
		for at, want := range map[int64]uint32{1e6: 0xff0000, 16e6: 0x00ff00, 1e12: 0x00ff00} {
			b, err := show.ThumbAt(src, at, 96)
			must(t, err)
			p, err := png.Decode(bytes.NewReader(b))
			must(t, err)
			r, g, blue, _ := p.At(80, 30).RGBA()
			if p.Bounds().Size() != image.Pt(96, 72) || r>>8<<16|g>>8<<8|blue>>8 != want {
				t.Errorf("at %d: %v, %v", at, p.Bounds(), p.At(80, 30))
			}
			if r, g, b, _ := p.At(10, 30).RGBA(); r>>8 != 0x3a || g>>8 != 0x44 || b>>8 != 0x50 {
				t.Errorf("at %d what is hidden is %v", at, p.At(10, 30))
			}
		}
		player := show.Open(src)
		must(t, player.Jump(1e6))
		if !player.Hidden || show.Picture(&player.Screen).RGBAAt(639, 1).R != 255 {
			t.Error("it is not said that something is hidden")
		}
		part := func(n uint32) replay.Part {
			x, err := src.Scene(n)
			must(t, err)
			return replay.PartOf(x, nil)
		}
		if p := part(1); len(p.Consoles) != 1 || p.Consoles[0].Stream != stream || len(p.Screens) != 0 || !p.Complete {
			t.Errorf("%d consoles, %d screens, complete %v", len(p.Consoles), len(p.Screens), p.Complete)
		} else if again, err := frames.ParseScreen(p.Consoles[0].Draw); err != nil || again.Size != image.Pt(640, 480) {
			t.Errorf("%v", err)
		}
	})
}

// What is damaged is said, and nothing is shown from behind it.
func TestATamperedConsoleIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsole(t)
		c.Resize(100, 100)
		for n := range 3 {
			c.Fill(c.Bounds(), uint32(n+1))
			c.Show()
			pass(12 * time.Second)
		}
		c.close()
		name := filepath.Join(c.dir, recordings.SegmentPart(1))
		b, err := os.ReadFile(name)
		must(t, err)
		b[len(b)-3] ^= 1
		must(t, os.Chmod(name, 0o600))
		must(t, os.WriteFile(name, b, 0o600))
		player := show.Open(c.open())
		must(t, player.Jump(1e6))
		var d *recordings.Damage
		if err := player.Jump(13e6); !errors.As(err, &d) {
			t.Errorf("%v", err)
		}
		if _, err := show.ThumbAt(c.open(), 13e6, 96); !errors.As(err, &d) {
			t.Errorf("%v", err)
		}
	})
}

func TestTextMadeSmall(t *testing.T) {
	p := show.Text([]string{"ab .", "", "x"}, 80)
	if p.Bounds().Size() != image.Pt(84, 10) || p.RGBAAt(2, 2).R != 0xc8 || p.RGBAAt(5, 2).R != 0x74 || p.RGBAAt(4, 2).R != 0x12 || p.RGBAAt(2, 6).R != 0xc8 {
		t.Error("it stands elsewhere")
	}
	if p := show.Text(slices.Repeat([]string{strings.Repeat("x", 5000)}, 5000), 5000); p.Bounds().Dx() > show.MaxThumb || p.Bounds().Dy() > show.MaxThumb {
		t.Errorf("%v", p.Bounds())
	}
}

// A recording of a terminal has a picture, too; one of nothing has none.
func TestThumbOfATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsole(t)
		pass(time.Second)
		must(t, c.w.Record(session.Event{Kind: session.ChannelOpened, Stream: 5, Data: []byte(`{"type":"shell","term":"xterm","cols":40,"rows":10}`)}))
		must(t, c.w.Record(session.Event{Kind: session.Output, Stream: 5, Data: []byte("one\r\ntwo")}))
		pass(time.Second)
		c.close()
		b, err := show.ThumbAt(c.open(), 2e6, 96)
		must(t, err)
		p, err := png.Decode(bytes.NewReader(b))
		must(t, err)
		if r, _, _, _ := p.At(4, 4).RGBA(); p.Bounds().Size() != image.Pt(44, 24) || r>>8 != 0xc8 {
			t.Errorf("%v, %v", p.Bounds(), p.At(4, 4))
		}
		if _, err := show.ThumbAt(c.open(), 1, 96); session.KindOf(err) != session.Invalid {
			t.Errorf("before anything was shown: %v", err)
		}
	})
}

// A sheet shows the session, and says so where nothing was shown.
func TestASheet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsole(t)
		pass(time.Second)
		none := c.open()
		if _, err := show.Sheet(none, 1e6); session.KindOf(err) != session.Invalid {
			t.Errorf("of nothing: %v", err)
		}
		c.Resize(800, 600)
		for n := range 24 {
			c.Fill(c.Bounds(), uint32(n+1)*0x0a0a0a)
			c.Show()
			pass(time.Second)
		}
		c.close()
		p, err := show.Sheet(c.open(), 25e6)
		must(t, err)
		if p.Bounds().Size() != image.Pt(12+4*412, 12+6*312) || p.RGBAAt(20, 20).R != 0xff || p.RGBAAt(440, 20).R > 0x14 || p.RGBAAt(12+3*412+50, 12+5*312+50).R < 0xdc {
			t.Errorf("%v: %v to %v", p.Bounds(), p.RGBAAt(440, 20), p.RGBAAt(12+3*412+50, 12+5*312+50))
		}
	})
}
