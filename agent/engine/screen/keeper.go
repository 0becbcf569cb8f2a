package screen

import (
	"encoding/json"

	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/screen"
)

// keeper puts a console on record: what it shows before anybody sees it, what is done
// before the device hears of it.
type keeper struct {
	c       *console
	rec     session.Recorder
	encoder *frames.Encoder
	pixels  int // for which there is room; of who draws
}

// stream is the one channel of a console's recording.
const stream = 1

func newKeeper(c *console) *keeper { return &keeper{c: c, encoder: frames.NewEncoder()} }

// begin opens the channel.
func (k *keeper) begin() error {
	k.rec = k.c.c.Recorder()
	data, err := json.Marshal(session.ChannelOpen{Type: session.Control})
	if err != nil {
		return err
	}
	return k.record(session.ChannelOpened, data)
}

func (k *keeper) record(kind session.EventKind, data []byte) error {
	return k.rec.Record(session.Event{Kind: kind, Stream: stream, Data: data})
}

func (k *keeper) input(data []byte) error  { return k.record(session.Input, data) }
func (k *keeper) output(data []byte) error { return k.record(session.Output, data) }

// Room implements screen.Housed.
func (k *keeper) Room(pixels int) error {
	err := k.c.line.room.change(k.c.t, k.pixels, pixels)
	if err == nil {
		k.pixels = pixels
	}
	return err
}

// Keep implements screen.Keeper.
func (k *keeper) Keep(ch screen.Change) error {
	if ch.Resized {
		if err := k.record(session.ScreenSize, frames.SizeData(ch.Size, ch.Hidden)); err != nil {
			return err
		}
		k.c.hide(k.masked(ch))
	}
	err := k.encoder.Sheets(ch.Was, ch.Now, ch.Tiles, ch.Boxes, func(data []byte) error { return k.record(session.ScreenTiles, data) })
	if err != nil || ch.Cursor == nil {
		return err
	}
	return k.record(session.ScreenCursor, frames.CursorData(frames.Cursor{Size: ch.Cursor.Size, Hot: ch.Cursor.Hot, Pix: ch.Cursor.Pix}))
}

// masked tells how much is hidden of what is about to be shown.
func (k *keeper) masked(ch screen.Change) attach.Masked {
	switch {
	case !ch.Hidden:
		return attach.MaskedNothing
	case k.c.masks.HideAll(ch.Size):
		return attach.MaskedAll
	}
	return attach.MaskedSome
}
