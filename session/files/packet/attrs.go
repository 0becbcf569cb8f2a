package packet

import (
	"encoding/binary"
	"os"
)

// Which of Attrs are meant.
const (
	HasSize  = 1
	HasOwner = 2
	HasMode  = 4
	HasTimes = 8

	hasExtended = 1 << 31
)

// Attrs are a file's attributes, as far as Has says.
type Attrs struct {
	Has          uint32
	Size         uint64
	UID, GID     uint32
	Mode         uint32 // permissions and type, as POSIX has them
	Atime, Mtime uint32 // seconds since 1970
}

func (a Attrs) append(b []byte) []byte {
	put := binary.BigEndian.AppendUint32
	b = put(b, a.Has)
	if a.Has&HasSize != 0 {
		b = binary.BigEndian.AppendUint64(b, a.Size)
	}
	if a.Has&HasOwner != 0 {
		b = put(put(b, a.UID), a.GID)
	}
	if a.Has&HasMode != 0 {
		b = put(b, a.Mode)
	}
	if a.Has&HasTimes != 0 {
		b = put(put(b, a.Atime), a.Mtime)
	}
	return b
}

func (c *cursor) attrs() (a Attrs) {
	a.Has = c.u32()
	if a.Has&^(HasSize|HasOwner|HasMode|HasTimes|hasExtended) != 0 {
		c.short = true
		return Attrs{}
	}
	if a.Has&HasSize != 0 {
		a.Size = c.u64()
	}
	if a.Has&HasOwner != 0 {
		a.UID, a.GID = c.u32(), c.u32()
	}
	if a.Has&HasMode != 0 {
		a.Mode = c.u32()
	}
	if a.Has&HasTimes != 0 {
		a.Atime, a.Mtime = c.u32(), c.u32()
	}
	if a.Has&hasExtended != 0 {
		for n := c.u32(); n > 0 && !c.short; n-- {
			c.bytes()
			c.bytes()
		}
	}
	a.Has &^= hasExtended
	return a
}

// FileMode is the mode as Go has it.
func (a Attrs) FileMode() os.FileMode {
	mode := os.FileMode(a.Mode & 0o777)
	mode |= map[uint32]os.FileMode{
		0o040000: os.ModeDir, 0o120000: os.ModeSymlink, 0o010000: os.ModeNamedPipe, 0o140000: os.ModeSocket,
		0o060000: os.ModeDevice, 0o020000: os.ModeDevice | os.ModeCharDevice,
	}[a.Mode&0o170000]
	for bit, is := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if a.Mode&bit != 0 {
			mode |= is
		}
	}
	return mode
}
