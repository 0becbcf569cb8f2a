package recordings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/sallyport/sallyport/session"
)

// Inventory is what there is of a recording at one moment. What arrives later changes
// nothing of what is made by it.
type Inventory struct {
	Size     int64 // of the single-file form, in bytes
	segments uint32
	missing  []uint32 // of those, in their order
	sealed   bool
}

// TakeInventory asks for the size of one part after the other; to open or to measure one
// that is not there is fs.ErrNotExist. Without a seal it ends before the first missing
// segment, because a later one may have overtaken it on its way. With a seal it counts all
// there is and leaves it to Verify to name what is missing.
func TakeInventory(open func(part string) (io.ReadCloser, error), size func(part string) (int64, error)) (Inventory, error) {
	var v Inventory
	var err error
	if v.Size, err = size(HeaderPart); errors.Is(err, fs.ErrNotExist) {
		return v, session.Errorf(session.Invalid, "the recording has no header yet")
	} else if err != nil {
		return v, err
	}
	sealed, err := readPart(open, SealPart)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	v.sealed = err == nil
	seal, _ := parseSeal(sealed, nil) // what cannot be read says nothing, and Verify says so
	for n := range uint32(MaxSegments) {
		bytes, err := size(SegmentPart(n))
		switch {
		case err == nil:
			v.Size, v.segments = v.Size+bytes, n+1
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return v, err
		}
		if n >= seal.Segments {
			break
		}
		v.missing = append(v.missing, n)
	}
	v.Size += int64(len(sealed))
	return v, nil
}

// Sealed reports whether the seal is there.
func (v Inventory) Sealed() bool { return v.sealed }

// Assemble writes the single-file form: header, segments, seal and nothing between.
func (v Inventory) Assemble(w io.Writer, open func(part string) (io.ReadCloser, error)) error {
	if err := copyPart(w, open, HeaderPart); err != nil {
		return err
	}
	for n := range v.segments {
		if _, missing := slices.BinarySearch(v.missing, n); missing {
			continue
		}
		if err := copyPart(w, open, SegmentPart(n)); err != nil {
			return err
		}
	}
	if !v.sealed {
		return nil
	}
	return copyPart(w, open, SealPart)
}

func copyPart(w io.Writer, open func(string) (io.ReadCloser, error), name string) error {
	r, err := open(name)
	if err != nil {
		return fmt.Errorf("assemble %s: %w", name, err)
	}
	defer r.Close()
	n, err := io.Copy(w, io.LimitReader(r, MaxPart+1))
	if err == nil && n > MaxPart {
		err = fmt.Errorf("a part %w", errTooLong)
	}
	if err != nil {
		return fmt.Errorf("assemble %s: %w", name, err)
	}
	return nil
}
