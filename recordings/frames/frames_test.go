package frames_test

import (
	"bytes"
	"errors"
	"image"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/palette"
)

// scribble changes a screen and returns the tiles that it touched.
func scribble(r *rand.Rand, s *frames.Screen) (tiles []image.Point) {
	x, y := r.IntN(s.Size.X), r.IntN(s.Size.Y)
	part := image.Rect(x, y, x+1+r.IntN(s.Size.X-x), y+1+r.IntN(s.Size.Y-y))
	colours := []int{1, 2, 3, 5, 17, 253, 300, 1 << 24}[r.IntN(8)]
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			s.Pix[y*s.Size.X+x] = uint32(r.IntN(colours)) * 2654435761 & 0xffffff
		}
	}
	for y := part.Min.Y / frames.Tile; y <= (part.Max.Y-1)/frames.Tile; y++ {
		for x := part.Min.X / frames.Tile; x <= (part.Max.X-1)/frames.Tile; x++ {
			tiles = append(tiles, image.Pt(x, y))
		}
	}
	return tiles
}

// sheet are a screen's pixels as who looks at it shares them.
func sheet(pix []uint32, size image.Point) *palette.Sheet {
	if pix == nil {
		return nil
	}
	s, p := &palette.Sheet{Size: size, Side: frames.Tile}, palette.Palette{}
	for y := 0; y < size.Y; y += frames.Tile {
		for x := 0; x < size.X; x += frames.Tile {
			s.Stills = append(s.Stills, p.Still(pix, size.X, image.Rect(x, y, x+frames.Tile, y+frames.Tile).Intersect(image.Rectangle{Max: size})))
		}
	}
	return s
}

// boxes are where tiles changed, in squares of 16 pixels; all of them where was is nil.
func boxes(size image.Point, was, pix []uint32, tiles []image.Point) (all []image.Rectangle) {
	for _, at := range tiles {
		r := image.Rectangle{Min: at.Mul(frames.Tile), Max: at.Add(image.Pt(1, 1)).Mul(frames.Tile)}.Intersect(image.Rectangle{Max: size})
		box := r
		if was != nil {
			box = image.Rectangle{}
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := r.Min.X; x < r.Max.X; x++ {
					if was[y*size.X+x] != pix[y*size.X+x] {
						box = box.Union(image.Rect(x&^15, y&^15, x&^15+16, y&^15+16).Intersect(r))
					}
				}
			}
		}
		all = append(all, box.Sub(r.Min))
	}
	return all
}

// What a console showed, the recording's screen shows, change by change, and whoever begins
// at a snapshot as well.
func TestAScreenComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		shown := &frames.Screen{Size: image.Pt(1+r.IntN(300), 1+r.IntN(200)), Hidden: r.IntN(2) == 0}
		shown.Pix = make([]uint32, shown.Size.X*shown.Size.Y)
		picture := frames.NewPicture()
		defer picture.Close()
		played := &frames.Screen{}
		e := frames.NewEncoder()
		say := func(kind session.EventKind, data []byte) error {
			if len(data) > session.MaxEventData {
				t.Fatalf("an event of %d bytes", len(data))
			}
			event := session.Event{Kind: kind, Stream: 3, Data: slices.Clone(data)}
			picture.Take(event)
			return played.Take(event)
		}
		picture.Take(session.Event{Kind: session.ChannelOpened, Stream: 3, Data: []byte(`{"type":"control"}`)})
		if all, complete := picture.Snapshots(); len(all) > 0 || complete {
			t.Fatal("something stands before there is a size")
		}
		shown.Cursor = frames.Cursor{Size: image.Pt(2, 1), Hot: image.Pt(1, 0), Pix: []uint32{0xff123456, 0}}
		if err := errors.Join(say(session.ScreenSize, frames.SizeData(shown.Size, shown.Hidden)), say(session.ScreenCursor, frames.CursorData(shown.Cursor))); err != nil {
			t.Fatal(err)
		}
		for range 1 + r.IntN(5) {
			was := slices.Clone(shown.Pix)
			tiles := scribble(r, shown)
			if r.IntN(3) == 0 {
				was = nil
			}
			put := func(b []byte) error { return say(session.ScreenTiles, b) }
			err := error(nil)
			if r.IntN(2) == 0 {
				err = e.Tiles(shown.Size, was, shown.Pix, tiles, put)
			} else {
				err = e.Sheets(sheet(was, shown.Size), sheet(shown.Pix, shown.Size), tiles, boxes(shown.Size, was, shown.Pix, tiles), put)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(played, shown) {
			t.Fatal("it is played otherwise")
		}
		all, complete := picture.Snapshots()
		if len(all) != 1 || !complete || all[0].Stream != 3 || all[0].Kind != session.ConsoleSnapshot {
			t.Fatalf("%d snapshots, %v", len(all), complete)
		}
		if again, err := frames.Unpack(all[0].Data); err != nil || !reflect.DeepEqual(again, shown) {
			t.Fatalf("the snapshot shows something else: %v", err)
		}
		picture.Take(session.Event{Kind: session.ChannelClosed, Stream: 3})
		if all, complete := picture.Snapshots(); len(all) > 0 || !complete {
			t.Fatal("something stands after the end")
		}
	})
}

// A picture that missed something shows nothing until it knows everything again.
func TestAPictureThatMissedSomething(t *testing.T) {
	size := image.Pt(10, 10)
	open := session.Event{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"control"}`)}
	resized := session.Event{Kind: session.ScreenSize, Stream: 1, Data: frames.SizeData(size, false)}
	for name, miss := range map[string]func(*frames.Picture){
		"forgot": (*frames.Picture).Forget,
		"malformed": func(p *frames.Picture) {
			p.Take(session.Event{Kind: session.ScreenTiles, Stream: 1, Data: []byte{9, 9}})
		},
	} {
		p := frames.NewPicture()
		defer p.Close()
		p.Take(open)
		p.Take(resized)
		miss(p)
		if all, complete := p.Snapshots(); len(all) > 0 || complete {
			t.Errorf("%s: it shows something", name)
		}
		p.Take(resized)
		if all, complete := p.Snapshots(); len(all) != 1 || !complete {
			t.Errorf("%s: it shows nothing more", name)
		}
	}
}

// The same tile again costs three bytes.
func TestTheSameTileCostsNothing(t *testing.T) {
	size := image.Pt(10*frames.Tile, frames.Tile)
	pix := make([]uint32, size.X*size.Y)
	for i := range pix {
		pix[i] = uint32(i%size.X%frames.Tile) * 77777 & 0xffffff
	}
	var tiles []image.Point
	for x := range 10 {
		tiles = append(tiles, image.Pt(x, 0))
	}
	total := 0
	if err := frames.NewEncoder().Tiles(size, nil, pix, tiles, func(b []byte) error { total += len(b); return nil }); err != nil {
		t.Fatal(err)
	}
	if most := 2 + 1 + 64*3 + 64*64 + 9*5; total > most {
		t.Errorf("%d bytes, more than %d", total, most)
	}
}

// Of a tile of which little changed, little is said.
func TestASmallChangeCostsLittle(t *testing.T) {
	size := image.Pt(3*frames.Tile, 2*frames.Tile)
	was := make([]uint32, size.X*size.Y)
	for i := range was {
		was[i] = uint32(i) * 2654435761 & 0xffffff
	}
	pix := slices.Clone(was)
	for y := 70; y < 80; y++ {
		for x := 130; x < 140; x++ {
			pix[y*size.X+x] = uint32(x%2) * 0xffffff
		}
	}
	s := &frames.Screen{Size: size, Pix: slices.Clone(was)}
	total := 0
	err := frames.NewEncoder().Tiles(size, was, pix, []image.Point{{X: 2, Y: 1}}, func(b []byte) error {
		total += len(b)
		_, err := s.Draw(b)
		return err
	})
	if err != nil || !slices.Equal(s.Pix, pix) {
		t.Fatalf("it is drawn otherwise: %v", err)
	}
	if most := 2 + 5 + 1 + 2*3 + 10*2; total > most {
		t.Errorf("%d bytes, more than %d", total, most)
	}
	for _, b := range [][]byte{{2, 1, 254}, {2, 1, 254, 0, 0, 0, 5, 1, 1, 1, 1}, {2, 1, 254, 60, 0, 5, 5, 1, 1, 1, 1}, {2, 1, 254, 0, 0, 5, 5, 254, 0, 0, 1, 1, 1, 1, 1, 1}, {2, 1, 254, 0, 0, 5, 5, 255, 0, 0}} {
		if _, err := s.Draw(b); err == nil {
			t.Errorf("% x is drawn", b)
		}
	}
}

func TestAFailingRecorderEndsIt(t *testing.T) {
	size, lost := image.Pt(500, 500), errors.New("lost")
	calls := 0
	err := frames.NewEncoder().Tiles(size, nil, make([]uint32, 500*500), []image.Point{{0, 0}}, func([]byte) error { calls++; return lost })
	if !errors.Is(err, lost) || calls != 1 {
		t.Errorf("%v after %d", err, calls)
	}
}

func FuzzDraw(f *testing.F) {
	size := image.Pt(130, 70)
	s := &frames.Screen{Size: size, Pix: make([]uint32, size.X*size.Y)}
	r := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		tiles := scribble(r, s)
		_ = frames.NewEncoder().Tiles(size, nil, s.Pix, tiles, func(b []byte) error { f.Add(slices.Clone(b)); return nil })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &frames.Screen{}
		if err := s.Resize(frames.SizeData(size, false)); err != nil {
			t.Fatal(err)
		}
		places, err := s.Draw(b)
		if err != nil {
			return
		}
		again := &frames.Screen{}
		_ = again.Resize(frames.SizeData(size, false))
		if err := frames.NewEncoder().Tiles(size, nil, s.Pix, places, func(b []byte) error { _, err := again.Draw(b); return err }); err != nil || !slices.Equal(again.Pix, s.Pix) {
			t.Fatalf("written again it is another: %v", err)
		}
	})
}

func FuzzScreen(f *testing.F) {
	s := &frames.Screen{Size: image.Pt(130, 70), Pix: make([]uint32, 130*70), Cursor: frames.Cursor{Size: image.Pt(1, 1), Pix: []uint32{1}}}
	scribble(rand.New(rand.NewPCG(1, 1)), s)
	f.Add(frames.NewEncoder().Screen(nil, s))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4 { // a large screen costs time and finds nothing
			b = slices.Clone(b)
			b[0], b[2] = 0, 0
		}
		s, err := frames.ParseScreen(b)
		if err != nil {
			return
		}
		once := frames.NewEncoder().Screen(nil, s)
		again, err := frames.ParseScreen(once)
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("written again it is another: %v", err)
		}
		if twice := frames.NewEncoder().Screen(nil, again); !bytes.Equal(once, twice) {
			t.Fatal("it is written in two ways")
		}
	})
}

// BenchmarkTiles is a full change of a screen of 1920 x 1080: bars, rows of words as a console
// draws them, and pictures in greys.
func BenchmarkTiles(b *testing.B) {
	size := image.Pt(1920, 1080)
	var tiles []image.Point
	for y := range (size.Y + frames.Tile - 1) / frames.Tile {
		for x := range (size.X + frames.Tile - 1) / frames.Tile {
			tiles = append(tiles, image.Pt(x, y))
		}
	}
	for name, draw := range map[string]func(x, y, n int) uint32{
		"bars": func(x, y, n int) uint32 { return uint32((y*size.X+x)/9+n) % 20 * 0x0b0703 },
		"words": func(x, y, n int) uint32 {
			if h := uint32(x/3+y*7919+n*104729) * 2654435761; y%18 < 12 && x > 20 && h>>28 < 5 {
				return []uint32{0x1d2733, 0x5b6b7c, 0x8fa3b7}[h>>8%3]
			}
			return []uint32{0xffffff, 0xf4f6f8, 0xd9e6f4}[(y/90+n)%3]
		},
		"greys": func(x, y, n int) uint32 {
			x, y = x%128-64, y%128-64
			return uint32(n*3+(x*x+y*y)/64) & 0xff * 0x10101
		},
	} {
		b.Run(name, func(b *testing.B) {
			var pix [2][]uint32
			for n := range pix {
				for i := range size.X * size.Y {
					pix[n] = append(pix[n], draw(i%size.X, i/size.X, n))
				}
			}
			e, bytes := frames.NewEncoder(), 0
			for n := 0; b.Loop(); n++ {
				if err := e.Tiles(size, pix[n&1], pix[1-n&1], tiles, func(d []byte) error { bytes += len(d); return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*float64(size.X*size.Y)/1e6/b.Elapsed().Seconds(), "Mpx/s")
			b.ReportMetric(float64(bytes)/float64(b.N), "bytes/op")
		})
	}
}

// BenchmarkDraw is a player that draws a full change of a console's words.
func BenchmarkDraw(b *testing.B) {
	s := &frames.Screen{Size: image.Pt(1920, 1080)}
	var tiles []image.Point
	for i := range s.Size.X * s.Size.Y {
		x, y := i%s.Size.X, i/s.Size.X
		s.Pix = append(s.Pix, []uint32{0xffffff, 0x1d2733, 0x5b6b7c, 0xffffff, 0x8fa3b7, 0xf4f6f8}[(x*x/7+y*5)%11%6])
		if x%frames.Tile == 0 && y%frames.Tile == 0 {
			tiles = append(tiles, image.Pt(x, y).Div(frames.Tile))
		}
	}
	var all [][]byte
	if err := frames.NewEncoder().Tiles(s.Size, nil, s.Pix, tiles, func(d []byte) error { all = append(all, slices.Clone(d)); return nil }); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, d := range all {
			if _, err := s.Draw(d); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(s.Pix))/1e6/b.Elapsed().Seconds(), "Mpx/s")
}
