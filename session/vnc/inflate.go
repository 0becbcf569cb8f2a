package vnc

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/sallyport/sallyport/session/screen/rfb"
)

// errMore is what a decompressor gets that wants more than its rectangle has.
var errMore = errors.New("a packed rectangle ends before its pixels do")

// inflater is one zlib stream that goes on from rectangle to rectangle.
type inflater struct {
	src source
	buf *bufio.Reader // of src: what unpacks is much faster with one
	z   io.ReadCloser
}

// source are the packed bytes of the rectangle at hand, behind what the last one left.
type source struct {
	left []byte
	in   *bufio.Reader
	n    int
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.left) > 0 {
		n := copy(p, s.left)
		s.left = s.left[n:]
		return n, nil
	}
	if s.n == 0 {
		return 0, errMore
	}
	n, err := s.in.Read(p[:min(len(p), s.n)])
	s.n -= n
	return n, noEnd(err)
}

// noEnd keeps an end of the connection from looking like an end of the stream.
func noEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// open goes on with n packed bytes of in.
func (f *inflater) open(in *bufio.Reader, n int) (io.Reader, error) {
	if n > maxPacked {
		return nil, rfb.ErrWire
	}
	f.src.in, f.src.n = in, n
	if f.z == nil {
		f.buf = bufio.NewReaderSize(&f.src, unpackAhead)
		if err := zlibHead(f.buf); err != nil {
			return nil, err
		}
		f.z = flate.NewReader(f.buf)
	}
	return f.z, nil
}

// zlibHead reads how a zlib stream begins (RFC 1950 section 2.2); one that wants a dictionary
// is refused. What follows is read without zlib's checksum: it stands at the end of a stream,
// and these have none before the connection's.
func zlibHead(in io.Reader) error {
	var b [2]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return rfb.ErrWire
	}
	const deflate, largest, dictionary = 8, 7, 0x20
	if b[0]&15 != deflate || b[0]>>4 > largest || b[1]&dictionary != 0 || (int(b[0])<<8|int(b[1]))%31 != 0 {
		return rfb.ErrWire
	}
	return nil
}

// shut keeps what the rectangle did not need for the next one.
func (f *inflater) shut() error {
	if f.src.n == 0 {
		return nil
	}
	if f.src.n+len(f.src.left)+f.buf.Buffered() > maxLeft {
		return rfb.ErrWire
	}
	rest := make([]byte, f.src.n)
	if _, err := io.ReadFull(f.src.in, rest); err != nil {
		return err
	}
	f.src.left, f.src.n = append(f.src.left, rest...), 0
	return nil
}

// reset begins another stream.
func (f *inflater) reset() { *f = inflater{} }
