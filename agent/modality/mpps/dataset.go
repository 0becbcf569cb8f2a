package mpps

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// status of a performed procedure step.
type status string

const (
	inProgress   status = "IN PROGRESS"
	completed    status = "COMPLETED"
	discontinued status = "DISCONTINUED"
	unsaid       status = "" // a data set without one
)

// Tags that are known here.
const (
	tagStatus         = 0x00400252
	tagItem           = 0xfffee000
	tagItemEnd        = 0xfffee00d
	tagSequenceEnd    = 0xfffee0dd
	undefined         = 0xffffffff
	delimiters        = 0xfffe
	shortVRs, longVRs = "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US", "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
)

// findStatus reads a data set until its status, and nothing else of it. The rest is left
// where it is: it is nobody's business here.
func findStatus(r io.Reader, explicit bool) (status, error) {
	d := &dataSet{r: bufio.NewReaderSize(r, 512), explicit: explicit}
	for last := uint32(0); ; {
		e, err := d.element()
		switch {
		case errors.Is(err, io.EOF):
			return unsaid, nil
		case err != nil:
			return unsaid, err
		case e.tag>>16 == delimiters || e.tag <= last || e.tag>>16 == 0:
			return unsaid, protocol("an element that is out of place")
		case e.tag > tagStatus:
			return unsaid, nil
		case e.tag == tagStatus:
			return d.status(e)
		}
		last = e.tag
		if err := d.skip(e, 0); err != nil {
			return unsaid, whole(err)
		}
	}
}

// whole makes of an end within something an error.
func whole(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return protocol("a data set ends early")
	}
	return err
}

// dataSet is a data set as it comes in.
type dataSet struct {
	r        *bufio.Reader
	explicit bool
}

// header is the beginning of an element.
type header struct {
	tag, length uint32
	vr          string // "" where it is implicit
}

// status reads the value of the status.
func (d *dataSet) status(e header) (status, error) {
	if e.length > maxStatus || d.explicit && e.vr != "CS" {
		return unsaid, protocol("a status that is none")
	}
	value := make([]byte, e.length)
	if _, err := io.ReadFull(d.r, value); err != nil {
		return unsaid, whole(err)
	}
	switch s := status(strings.Trim(string(value), " ")); s {
	case inProgress, completed, discontinued, unsaid:
		return s, nil
	}
	return unsaid, protocol("a status that is none")
}

// element reads a header; io.EOF where there is no more.
func (d *dataSet) element() (header, error) {
	var b [8]byte
	if n, err := io.ReadFull(d.r, b[:]); err != nil {
		if n > 0 {
			err = whole(err)
		}
		return header{}, err
	}
	e := header{tag: uint32(binary.LittleEndian.Uint16(b[:]))<<16 | uint32(binary.LittleEndian.Uint16(b[2:]))}
	if !d.explicit || e.tag>>16 == delimiters {
		e.length = binary.LittleEndian.Uint32(b[4:])
		return e, nil
	}
	switch e.vr = string(b[4:6]); {
	case known(e.vr, shortVRs):
		e.length = uint32(binary.LittleEndian.Uint16(b[6:]))
	case known(e.vr, longVRs):
		if _, err := io.ReadFull(d.r, b[:4]); err != nil {
			return e, whole(err)
		}
		e.length = binary.LittleEndian.Uint32(b[:])
	default:
		return e, protocol("an element of no known kind")
	}
	return e, nil
}

func known(vr, among string) bool {
	i := strings.Index(among, vr)
	return i >= 0 && i%3 == 0 && !strings.Contains(vr, " ")
}

// skip passes the value of an element.
func (d *dataSet) skip(e header, depth int) error {
	if e.length != undefined {
		return d.pass(e.length)
	}
	if d.explicit && e.vr != "SQ" && e.vr != "UN" || depth == maxDepth {
		return protocol("a value without an end")
	}
	was := d.explicit
	if e.vr == "UN" { // what is not known is implicit within (PS3.5 section 6.2.2)
		d.explicit = false
	}
	defer func() { d.explicit = was }()
	for {
		i, err := d.element()
		switch {
		case err != nil:
			return err
		case i.tag == tagSequenceEnd && i.length == 0:
			return nil
		case i.tag != tagItem:
			return protocol("a sequence of something else than items")
		case i.length != undefined:
			err = d.pass(i.length)
		default:
			err = d.skipItem(depth + 1)
		}
		if err != nil {
			return err
		}
	}
}

// skipItem passes the elements of an item to its end.
func (d *dataSet) skipItem(depth int) error {
	for {
		e, err := d.element()
		switch {
		case err != nil:
			return err
		case e.tag == tagItemEnd && e.length == 0:
			return nil
		case e.tag>>16 == delimiters:
			return protocol("an item within an item")
		}
		if err := d.skip(e, depth); err != nil {
			return err
		}
	}
}

func (d *dataSet) pass(n uint32) error {
	_, err := io.CopyN(io.Discard, d.r, int64(n))
	return err
}
