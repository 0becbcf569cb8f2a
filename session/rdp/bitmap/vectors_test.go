package bitmap

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vectors are pictures of other makers, which are not ours to publish. SALLYPORT_RDP_DATA
// names the directory; they are looked for beside the repository, too.
func vectors(t *testing.T, kind string) []string {
	t.Helper()
	dir := os.Getenv("SALLYPORT_RDP_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data", "rdp")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Logf("%s, where decoder vectors of other makers would be, is absent: nothing is tried", dir)
		return nil
	}
	files, err := filepath.Glob(filepath.Join(dir, kind))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in %s: %v", kind, dir, err)
	}
	return files
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func same(t *testing.T, name string, got, want []uint32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d pixels for %d", name, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: pixel %d is %06x for %06x", name, i, got[i], want[i])
		}
	}
}

func TestTilesOf16Bits(t *testing.T) {
	for _, name := range vectors(t, "rle16/*-compressed.bin") {
		want := read(t, strings.Replace(name, "-compressed", "-decompressed", 1))
		var d Decoder
		got, err := d.Decode(64, 64, 16, true, read(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pix := make([]uint32, 64*64)
		values(pix, 2, want)
		turn(pix, 64)
		d.colour(pix, 16)
		same(t, name, got, pix)
	}
}

// Planes are of no direction; these were made from the top, as no screen's bitmap is.
func TestPlanesOfOtherMakers(t *testing.T) {
	for _, name := range vectors(t, "planar/*.bin") {
		bmp := read(t, strings.TrimSuffix(name, ".bin")+".bmp")
		w, h := int(binary.LittleEndian.Uint32(bmp[18:])), int(binary.LittleEndian.Uint32(bmp[22:]))
		var d Decoder
		want := make([]uint32, w*h)
		if err := rows(want, w, h, 3, bmp[binary.LittleEndian.Uint32(bmp[10:]):]); err != nil {
			t.Fatal(err)
		}
		got, err := d.Decode(w, h, 32, true, read(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, name, got, want)
	}
}
