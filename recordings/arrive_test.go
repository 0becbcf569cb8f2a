package recordings_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// What arrives is taken only when it is, byte for byte, what the recording's key signed.
func TestASegmentIsCheckedAsItArrives(t *testing.T) {
	g := loadGolden(t)
	_, key, err := recordings.ReadSigner(g.parts[0])
	if err != nil {
		t.Fatal(err)
	}
	take := func(name string, part []byte) ([]byte, error) {
		r, err := recordings.Arriving(name, int64(len(part)), key, bytes.NewReader(part))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	for n, part := range g.parts[1:4] {
		name := recordings.SegmentPart(uint32(n))
		if got, err := take(name, part); err != nil || !bytes.Equal(got, part) {
			t.Fatalf("%s: %d bytes, %v", name, len(got), err)
		}
		for i := range part {
			if i > 300 && i%17 != 0 {
				continue
			}
			bad := bytes.Clone(part)
			bad[i] ^= 1 << (i % 8)
			if _, err := take(name, bad); session.KindOf(err) != session.Invalid {
				t.Fatalf("byte %d of %s: %v", i, name, err)
			}
		}
		for _, bad := range [][]byte{part[:len(part)-1], part[:207], append(bytes.Clone(part), 0)} {
			if _, err := take(name, bad); err == nil {
				t.Fatalf("%d bytes of %d pass", len(bad), len(part))
			}
		}
		if _, err := take(recordings.SegmentPart(uint32(n+1)), part); err == nil {
			t.Fatal("a segment passes under another's name")
		}
	}
	if _, err := recordings.Arriving("seg-000000", 5000, key, bytes.NewReader(g.parts[1][:600])); err == nil {
		t.Fatal("a segment of another length passes")
	}
}
