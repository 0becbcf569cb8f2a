package recordings

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

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

// Part is one part of a recording as it is stored somewhere.
type Part struct {
	Name string
	Size int64
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

// ParseParts checks names and returns them in the recording's order: header,
// segments, seal. Names that are no part's, and repeated ones, are an error;
// missing ones are not.
func ParseParts(names []string) ([]string, error) {
	sorted := slices.Clone(names)
	for _, n := range sorted {
		if !ValidPart(n) {
			return nil, session.Errorf(session.Invalid, "%.60q is not the name of a part", n)
		}
	}
	slices.SortFunc(sorted, func(a, b string) int {
		return strings.Compare(rank(a), rank(b))
	})
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		return nil, session.Errorf(session.Invalid, "a part is named twice")
	}
	return sorted, nil
}

func rank(name string) string {
	switch name {
	case HeaderPart:
		return "0"
	case SealPart:
		return "2"
	}
	return "1" + name
}

// Assemble writes the single-file form of a recording: header, segments, seal and
// nothing between. Without a seal it stops before the first missing segment, because
// a later one may have overtaken it on its way; with a seal it writes all there is
// and leaves it to Verify to name what is missing.
func Assemble(w io.Writer, open func(part string) (io.ReadCloser, error), parts []string) error {
	sorted, err := ParseParts(parts)
	if err != nil {
		return err
	}
	if len(sorted) == 0 || sorted[0] != HeaderPart {
		return session.Errorf(session.Invalid, "the recording has no header yet")
	}
	sealed := sorted[len(sorted)-1] == SealPart
	for i, name := range sorted {
		if index, ok := segmentIndex(name); ok && !sealed && int(index) != i-1 {
			return nil
		}
		if err := copyPart(w, open, name); err != nil {
			return fmt.Errorf("assemble %s: %w", name, err)
		}
	}
	return nil
}

// AssembledSize is how many bytes Assemble writes for these parts.
func AssembledSize(parts []Part) (int64, error) {
	sizes, names := map[string]int64{}, make([]string, 0, len(parts))
	for _, p := range parts {
		sizes[p.Name], names = p.Size, append(names, p.Name)
	}
	var total int64
	err := Assemble(io.Discard, func(name string) (io.ReadCloser, error) {
		total += sizes[name]
		return io.NopCloser(strings.NewReader("")), nil
	}, names)
	return total, err
}

func copyPart(w io.Writer, open func(string) (io.ReadCloser, error), name string) error {
	r, err := open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(w, io.LimitReader(r, MaxPart+1))
	if err == nil && n > MaxPart {
		err = fmt.Errorf("a part %w", errTooLong)
	}
	return err
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

// Summary is what a listing shows of a recording.
type Summary struct {
	Header Header
	State  State
	Reason session.EndReason // empty while live
	Ended  time.Time         // zero while live
	Bytes  int64             // stored so far
	Parts  int
}

// Describe sums up the parts that are there. It reads header and seal and believes
// them; Verify does not.
func Describe(parts []Part, open func(part string) (io.ReadCloser, error)) (Summary, error) {
	s := Summary{State: Live, Parts: len(parts)}
	sealed, headed := false, false
	for _, p := range parts {
		s.Bytes += p.Size
		sealed = sealed || p.Name == SealPart
		headed = headed || p.Name == HeaderPart
	}
	if !headed {
		return Summary{}, session.Errorf(session.Invalid, "the recording has no header yet")
	}
	part, err := readPart(open, HeaderPart)
	if err != nil {
		return Summary{}, err
	}
	o, pub, err := parseHeader(part)
	if err != nil {
		return Summary{}, session.Errorf(session.Invalid, "read the header of a recording: %w", err)
	}
	s.Header = o.Session
	if !sealed {
		return s, nil
	}
	return s, s.close(open, pub)
}

func (s *Summary) close(open func(part string) (io.ReadCloser, error), pub ed25519.PublicKey) error {
	part, err := readPart(open, SealPart)
	if err != nil {
		return err
	}
	info, err := parseSeal(part, pub)
	if err != nil {
		return session.Errorf(session.Invalid, "read the seal of a recording: %w", err)
	}
	s.State, s.Reason, s.Ended = info.State, info.Reason, info.Ended
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
