package rdp

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session/screen/rfb"
)

// Of messages of the clipboard (MS-RDPECLIP 2.2.1). Files, pictures and all else but text
// are neither offered nor asked for.
const (
	clipReady    = 1
	clipList     = 2
	clipListed   = 3
	clipRequest  = 4
	clipResponse = 5
	clipCaps     = 7

	clipOK    = 1
	clipFail  = 2
	clipLong  = 2  // of capabilities: names of formats as long as they are
	clipText  = 13 // CF_UNICODETEXT
	chunkHead = 0x200000
)

// clipboard is the channel of the clipboard.
type clipboard struct {
	part  []byte // of a message
	left  int
	skips bool // the message is too long for us
	asked bool // for a text

	// changed under mu
	ready bool
	long  bool
	text  string // what was pasted last
}

// clipped reports whether there is a clipboard at all.
func (c *Client) clipped() bool { return c.cfg.Pastes || c.cfg.Copied != nil }

// clipChunk is a piece of a message (MS-RDPBCGR 2.2.6.1).
func (c *Client) clipChunk(b []byte) error {
	f := fields{b: b}
	total, flags := f.u32(), f.u32()
	k := &c.clip
	if flags&1 != 0 {
		k.part, k.left, k.skips = k.part[:0], int(total), total > maxClip
	}
	if f.bad || flags&chunkHead != 0 || len(f.b) > k.left || total > 1<<31-1 {
		return ErrWire
	}
	if k.left -= len(f.b); !k.skips {
		k.part = append(k.part, f.b...)
	}
	if flags&2 == 0 {
		return nil
	}
	if k.left != 0 {
		return ErrWire
	}
	if k.skips {
		k.asked = false
		return nil
	}
	f = fields{b: k.part}
	kind, state := f.u16(), f.u16()
	f.b = f.take(int(f.u32() & 0xfffffff))
	if f.bad {
		return ErrWire
	}
	return c.clipMessage(kind, state, &f)
}

func (c *Client) clipMessage(kind, state int, f *fields) error {
	switch kind {
	case clipCaps:
		n := f.u16()
		f.take(2)
		for i := 0; i < n && !f.bad; i++ {
			kind, size := f.u16(), f.u16()
			set := fields{b: f.take(size - 4)}
			if set.u32(); kind == 1 {
				c.mu.Lock()
				c.clip.long = set.u32()&clipLong != 0
				c.mu.Unlock()
			}
		}
		return f.err()
	case clipReady:
		caps := le32(le16(le16(nil, 1, 0), 1, 12), 2, clipLong)
		if err := c.clipSend(clipCaps, 0, caps); err != nil {
			return err
		}
		return c.offer(func() { c.clip.ready = true })
	case clipList:
		return c.offered(f)
	case clipRequest:
		format := f.u32()
		if f.bad {
			return ErrWire
		}
		return c.provide(format)
	case clipResponse:
		if c.clip.asked && state&clipOK != 0 {
			if text := rfb.Text(narrow(f.b)); text != "" {
				c.cfg.Copied(text)
			}
		}
		c.clip.asked = false
	}
	return nil // files and locks of them: nothing is said
}

// offered is what the console has: where there is text that may be copied, it is asked for.
func (c *Client) offered(f *fields) error {
	has := false
	for len(f.b) >= 4 {
		has = f.u32() == clipText || has
		if !c.clip.long {
			f.take(min(32, len(f.b)))
			continue
		}
		for len(f.b) >= 2 && f.u16() != 0 {
		}
	}
	if err := c.clipSend(clipListed, clipOK, nil); err != nil || !has || c.cfg.Copied == nil {
		return err
	}
	c.clip.asked = true
	return c.clipSend(clipRequest, 0, le32(nil, clipText))
}

// provide gives the console what was pasted.
func (c *Client) provide(format uint32) error {
	c.mu.Lock()
	text := c.clip.text
	c.mu.Unlock()
	if format != clipText || text == "" {
		return c.clipSend(clipResponse, clipFail, nil)
	}
	return c.clipSend(clipResponse, clipOK, append(wide(strings.ReplaceAll(text, "\n", "\r\n")), 0, 0))
}

// Paste gives the console a text, where that is allowed: it is told that there is one, and
// asks for it when somebody wants it.
func (c *Client) Paste(text string) error {
	if !c.cfg.Pastes {
		return nil
	}
	return c.offer(func() { c.clip.text = rfb.Text(text) })
}

// offer tells the console what there is after a change.
func (c *Client) offer(change func()) error {
	c.mu.Lock()
	change()
	ready, long, has := c.clip.ready, c.clip.long, c.clip.text != ""
	c.mu.Unlock()
	if !ready {
		return nil
	}
	var list []byte
	if has {
		list = le32(nil, clipText)
		if long {
			list = le16(list, 0)
		} else {
			list = append(list, make([]byte, 32)...)
		}
	}
	return c.clipSend(clipList, 0, list)
}

// clipSend sends a message, in pieces that no others come between.
func (c *Client) clipSend(kind, state int, body []byte) error {
	b := append(le32(le16(nil, kind, state), uint32(len(body))), body...)
	var out []byte
	for at := 0; at < len(b); at += maxChunk {
		piece, flags := b[at:min(at+maxChunk, len(b))], uint32(0x10)
		if at == 0 {
			flags |= 1
		}
		if at+len(piece) == len(b) {
			flags |= 2
		}
		out = append(out, c.request(c.joined.clip, slices.Concat(le32(nil, uint32(len(b)), flags), piece))...)
	}
	return c.send(out)
}
