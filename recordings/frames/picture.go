package frames

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// Picture follows the console of a recording by its events, and leaves it as snapshots. A
// connection shows one. Not safe for concurrent use.
type Picture struct {
	stream uint32 // of the console; 0 while none is open
	shelf  shelf
	failed bool // something could not be read: nothing stands until the next size
	zstd   *zstd.Encoder
}

var _ recordings.Picture = (*Picture)(nil)

// NewPicture makes one. Close it.
func NewPicture() *Picture {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(fmt.Sprintf("options of zstd: %v", err)) // they are constants
	}
	return &Picture{shelf: newShelf(), zstd: z}
}

// Take follows one event.
func (p *Picture) Take(e session.Event) {
	switch e.Kind {
	case session.ChannelOpened:
		var c session.ChannelOpen
		if p.stream == 0 && json.Unmarshal(e.Data, &c) == nil && c.Type == session.Control {
			p.stream = e.Stream
		}
	case session.ChannelClosed:
		if e.Stream == p.stream {
			p.stream, p.shelf, p.failed = 0, newShelf(), false
		}
	case session.ScreenSize, session.ScreenTiles, session.ScreenCursor:
		if e.Stream == p.stream && p.stream != 0 {
			p.keep(e)
		}
	}
}

func (p *Picture) keep(e session.Event) {
	var err error
	switch e.Kind {
	case session.ScreenSize:
		err, p.failed = p.shelf.resize(e.Data), false
	case session.ScreenTiles:
		err = p.shelf.tiles(e.Data)
	case session.ScreenCursor:
		err = p.shelf.shape.Shape(e.Data)
	}
	p.failed = p.failed || err != nil
}

// Take follows an event of the screen; others say nothing to it.
func (s *Screen) Take(e session.Event) error {
	switch e.Kind {
	case session.ScreenSize:
		return s.Resize(e.Data)
	case session.ScreenTiles:
		_, err := s.Draw(e.Data)
		return err
	case session.ScreenCursor:
		return s.Shape(e.Data)
	}
	return nil
}

// Snapshots are the console, if one stands.
func (p *Picture) Snapshots() (all []session.Snapshot, complete bool) {
	switch {
	case p.stream == 0:
		return nil, true
	case p.failed || p.shelf.shape.Size.X == 0:
		return nil, false
	}
	plain, err := p.shelf.screen()
	if err != nil {
		p.failed = true
		return nil, false
	}
	data := p.zstd.EncodeAll(plain, nil)
	return []session.Snapshot{{Stream: p.stream, Kind: session.ConsoleSnapshot, Data: data}}, true
}

// Forget leaves the console as it is until its size is told again.
func (p *Picture) Forget() { p.failed = true }

// Close frees what packs.
func (p *Picture) Close() { _ = p.zstd.Close() }

// Unpack reads the data of a snapshot.
func Unpack(b []byte) (*Screen, error) {
	plain, err := Plain(b)
	if err != nil {
		return nil, err
	}
	return ParseScreen(plain)
}

// Plain are the bytes of the screen that the data of a snapshot holds. They are not read.
func Plain(b []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxScreen), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	plain, err := z.DecodeAll(b, nil)
	if err != nil {
		return nil, session.Errorf(session.Invalid, "a screen in a snapshot is not packed as it should be")
	}
	return plain, nil
}
