package recordings

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// The names of parts. A recording is one header, segments numbered from 0 and, once
// it is over, one seal.
const (
	HeaderPart = "header"
	SealPart   = "seal"

	segmentPrefix = "seg-"
	openPrefix    = "open-"
)

// SegmentPart is the name of a segment's part: "seg-000012".
func SegmentPart(index uint32) string { return fmt.Sprintf("%s%06d", segmentPrefix, index) }

func openName(index uint32) string { return fmt.Sprintf("%s%06d", openPrefix, index) }

// Companions of a recording: kept and sent beside its parts, and none of them. Package
// exchange says what is in them.
const (
	PapersPart   = "papers"   // who asked and who allowed; from the recording's beginning
	ReceiptsPart = "receipts" // the broker's countersignatures; after the seal
)

// Companion reports whether name is the name of a companion.
func Companion(name string) bool { return name == PapersPart || name == ReceiptsPart }

// Largest is the bound of what may be stored under a name, in bytes; 0: nothing may.
func Largest(name string) int64 {
	switch {
	case ValidPart(name):
		return MaxPart
	case name == PapersPart, name == ReceiptsPart:
		return MaxCompanion
	}
	return 0
}

// ValidPart reports whether name is the name of a part.
func ValidPart(name string) bool {
	_, ok := segmentIndex(name)
	return ok || name == HeaderPart || name == SealPart
}

func segmentIndex(name string) (uint32, bool) { return numbered(segmentPrefix, name) }

func numbered(prefix, name string) (uint32, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok || len(digits) != 6 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil
}

// CheckPart checks a part against itself: shape, length and, for a segment, the hash
// of its content. It finds what a bad disk did, not what a forger did.
func CheckPart(name string, part []byte) error {
	var err error
	switch index, segment := segmentIndex(name); {
	case segment:
		var d descriptor
		if d, err = checkSegment(part, nil); err == nil && d.index != index {
			err = fmt.Errorf("it is segment %d", d.index)
		}
	case name == HeaderPart:
		_, _, err = parseHeader(part)
	case name == SealPart:
		_, err = parseSeal(part, nil)
	default:
		err = errors.New("no part has this name")
	}
	if err != nil {
		return session.Errorf(session.Invalid, "check %.60q: %w", name, err)
	}
	return nil
}

func readPart(open func(part string) (io.ReadCloser, error), name string) ([]byte, error) {
	r, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, MaxPart+1))
	if err == nil && len(b) > MaxPart {
		err = fmt.Errorf("%s is %w", name, errTooLong)
	}
	return b, err
}
