package packet

import "encoding/binary"

// Op is what a request asks for. Those of the protocol are its types; those of
// extensions are ours.
type Op uint16

// The operations.
const (
	Open     Op = 3
	Close    Op = 4
	ReadAt   Op = 5
	WriteAt  Op = 6
	Lstat    Op = 7
	Fstat    Op = 8
	Setstat  Op = 9
	Fsetstat Op = 10
	Opendir  Op = 11
	Readdir  Op = 12
	Remove   Op = 13
	Mkdir    Op = 14
	Rmdir    Op = 15
	Realpath Op = 16
	Stat     Op = 17
	Rename   Op = 18
	Readlink Op = 19
	Symlink  Op = 20

	Unknown     Op = 0x100 // answered by OpUnsupported
	PosixRename Op = 0x101
	Statvfs     Op = 0x102
	Fstatvfs    Op = 0x103
	Hardlink    Op = 0x104
	Fsync       Op = 0x105
	Lsetstat    Op = 0x106
	ExpandPath  Op = 0x107
	CopyData    Op = 0x108
	Limits      Op = 0x109
)

// Extension is the extension that an operation belongs to; the zero value for none.
func (o Op) Extension() Extension {
	switch o {
	case PosixRename:
		return Extension{"posix-rename@openssh.com", "1"}
	case Statvfs:
		return Extension{"statvfs@openssh.com", "2"}
	case Fstatvfs:
		return Extension{"fstatvfs@openssh.com", "2"}
	case Hardlink:
		return Extension{"hardlink@openssh.com", "1"}
	case Fsync:
		return Extension{"fsync@openssh.com", "1"}
	case Lsetstat:
		return Extension{"lsetstat@openssh.com", "1"}
	case ExpandPath:
		return Extension{"expand-path@openssh.com", "1"}
	case CopyData:
		return Extension{"copy-data", "1"}
	case Limits:
		return Extension{"limits@openssh.com", "1"}
	}
	return Extension{}
}

// Extended finds the operation of an extension by its name; Unknown for others.
func Extended(name string) Op {
	for op := PosixRename; op <= Limits; op++ {
		if op.Extension().Name == name {
			return op
		}
	}
	return Unknown
}

// Flags of Open.
const (
	ForReading = 1
	ForWriting = 2
	Append     = 4
	Create     = 8
	Truncate   = 16
	Exclusive  = 32
)

// Request is one, with the fields that its operation has.
type Request struct {
	Op      Op
	Path    string // the first one: of Symlink what the link says, as OpenSSH has it
	Target  string // the second one
	Handle  string
	Offset  uint64
	Length  uint32 // of ReadAt
	Data    []byte // of WriteAt; parsed, it is part of the packet
	Flags   uint32 // of Open
	Attrs   Attrs
	Into    string // the other handle of CopyData,
	Where   uint64 // the offset there,
	Portion uint64 // and how many bytes; 0 for all
}

type field byte

const (
	path field = iota
	target
	handle
	offset
	length
	content
	flags
	attributes
	portion
	into
	where
)

// fields are those of an operation, in their order on the wire; nil for what is none.
func (o Op) fields() []field {
	switch o {
	case Open:
		return []field{path, flags, attributes}
	case Close, Fstat, Readdir, Fstatvfs, Fsync:
		return []field{handle}
	case ReadAt:
		return []field{handle, offset, length}
	case WriteAt:
		return []field{handle, offset, content}
	case Fsetstat:
		return []field{handle, attributes}
	case CopyData:
		return []field{handle, offset, portion, into, where}
	case Lstat, Stat, Opendir, Remove, Rmdir, Realpath, Readlink, Statvfs, ExpandPath:
		return []field{path}
	case Setstat, Mkdir, Lsetstat:
		return []field{path, attributes}
	case Rename, Symlink, PosixRename, Hardlink:
		return []field{path, target}
	case Limits:
		return []field{}
	}
	return nil
}

// ByHandle reports whether the operation is one on an open file or directory.
func (o Op) ByHandle() bool {
	all := o.fields()
	return len(all) > 0 && all[0] == handle
}

// Append appends the request as a packet.
func (r Request) Append(b []byte, id uint32) []byte {
	return framed(b, func(b []byte) []byte {
		if e := r.Op.Extension(); e.Name != "" {
			b = appendString(binary.BigEndian.AppendUint32(append(b, extended), id), e.Name)
		} else {
			b = binary.BigEndian.AppendUint32(append(b, byte(r.Op)), id)
		}
		for _, f := range r.Op.fields() {
			b = r.appendField(b, f)
		}
		return b
	})
}

func (r Request) appendField(b []byte, f field) []byte {
	switch f {
	case path:
		return appendString(b, r.Path)
	case target:
		return appendString(b, r.Target)
	case handle:
		return appendString(b, r.Handle)
	case into:
		return appendString(b, r.Into)
	case offset:
		return binary.BigEndian.AppendUint64(b, r.Offset)
	case portion:
		return binary.BigEndian.AppendUint64(b, r.Portion)
	case where:
		return binary.BigEndian.AppendUint64(b, r.Where)
	case length:
		return binary.BigEndian.AppendUint32(b, r.Length)
	case flags:
		return binary.BigEndian.AppendUint32(b, r.Flags)
	case content:
		return appendString(b, r.Data)
	default:
		return r.Attrs.append(b)
	}
}

// ParseRequest reads a request. What it asks for may be Unknown; its fields then are
// not read.
func ParseRequest(body []byte) (id uint32, r Request, err error) {
	c := cursor{b: body}
	r.Op = Op(c.byte())
	id = c.u32()
	if r.Op == extended {
		r.Op = Extended(c.string())
	}
	if r.Op.fields() == nil {
		r.Op = Unknown
	}
	for _, f := range r.Op.fields() {
		r.parseField(&c, f)
	}
	if err := c.err(); err != nil {
		return 0, Request{}, err
	}
	return id, r, nil
}

func (r *Request) parseField(c *cursor, f field) {
	switch f {
	case path:
		r.Path = c.string()
	case target:
		r.Target = c.string()
	case handle:
		r.Handle = c.handle()
	case into:
		r.Into = c.handle()
	case offset:
		r.Offset = c.u64()
	case portion:
		r.Portion = c.u64()
	case where:
		r.Where = c.u64()
	case length:
		r.Length = c.u32()
	case flags:
		r.Flags = c.u32()
	case content:
		r.Data = c.bytes()
	default:
		r.Attrs = c.attrs()
	}
}

func (c *cursor) handle() string {
	h := c.bytes()
	if len(h) > mostHandle {
		c.short = true
	}
	return string(h)
}
