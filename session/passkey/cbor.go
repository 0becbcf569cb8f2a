package passkey

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// pairs is a map, whose keys are numbers or texts and stand once each.
type pairs map[any]any

func (p pairs) text(name string) any  { return p[name] }
func (p pairs) number(name int64) any { return p[name] }

// errCBOR is all that is wrong with what cannot be read: nobody can act on more.
var errCBOR = errors.New("it is not CBOR as passkeys write it")

// parse reads one map and nothing behind it.
func parse(b []byte) (pairs, error) {
	v, rest, err := next(b)
	m, isMap := v.(pairs)
	if err != nil || !isMap || len(rest) > 0 {
		return nil, errCBOR
	}
	return m, nil
}

// next reads one value of the CBOR that CTAP2 permits: lengths that are given, in their
// shortest spelling; numbers, bytes, texts, lists, maps and truths.
func next(b []byte) (value any, rest []byte, err error) {
	r := reader{left: b}
	value, err = r.value(0)
	return value, r.left, err
}

type reader struct {
	left   []byte
	values int
}

func (r *reader) value(depth int) (any, error) {
	if r.values++; r.values > maxValues || depth > maxDepth {
		return nil, errCBOR
	}
	kind, n, err := r.head()
	if err != nil {
		return nil, err
	}
	switch kind {
	case 0, 1:
		if n > 1<<62 {
			return nil, errCBOR
		}
		if kind == 1 {
			return -1 - int64(n), nil
		}
		return int64(n), nil
	case 2, 3:
		return r.run(kind == 3, n)
	case 4:
		return r.list(n, depth)
	case 5:
		return r.pairs(n, depth)
	case 7:
		switch n {
		case 20, 21:
			return n == 21, nil
		case 22:
			return nil, nil
		}
	}
	return nil, errCBOR
}

// head reads a kind and its number, which is spelled as short as it can be.
func (r *reader) head() (kind byte, n uint64, err error) {
	if len(r.left) == 0 {
		return 0, 0, errCBOR
	}
	kind, n = r.left[0]>>5, uint64(r.left[0]&31)
	r.left = r.left[1:]
	if n < 24 {
		return kind, n, nil
	}
	if n > 27 || kind == 7 {
		return 0, 0, errCBOR
	}
	size := 1 << (n - 24)
	if len(r.left) < size {
		return 0, 0, errCBOR
	}
	var wide [8]byte
	copy(wide[8-size:], r.left)
	r.left, n = r.left[size:], binary.BigEndian.Uint64(wide[:])
	if n < 24 || size > 1 && n>>(4*size) == 0 {
		return 0, 0, errCBOR
	}
	return kind, n, nil
}

func (r *reader) run(text bool, n uint64) (any, error) {
	if n > uint64(len(r.left)) {
		return nil, errCBOR
	}
	run := r.left[:n]
	r.left = r.left[n:]
	switch {
	case !text:
		return run, nil
	case !utf8.Valid(run):
		return nil, errCBOR
	}
	return string(run), nil
}

func (r *reader) list(n uint64, depth int) (any, error) {
	if n > maxItems {
		return nil, errCBOR
	}
	all := make([]any, 0, n)
	for range n {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func (r *reader) pairs(n uint64, depth int) (any, error) {
	if n > maxItems {
		return nil, errCBOR
	}
	all := pairs{}
	for range n {
		name, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		switch name.(type) {
		case string, int64:
		default:
			return nil, errCBOR
		}
		if _, twice := all[name]; twice {
			return nil, errCBOR
		}
		if all[name], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return all, nil
}
