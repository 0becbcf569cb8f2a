package recordings_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// golden is a recording of version 1 that was written once: every later reader must
// still read it, and the fuzzers start from it.
type golden struct {
	file     []byte
	parts    [][]byte // header, three segments, seal
	trust    session.Trust
	identity age.Identity
}

func loadGolden(t testing.TB) golden {
	t.Helper()
	var g golden
	var err error
	if g.file, err = os.ReadFile("testdata/v1.rec"); err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile("testdata/v1.trust.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(bundle, &g.trust); err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile("testdata/v1.identity")
	if err != nil {
		t.Fatal(err)
	}
	if g.identity, err = age.ParseX25519Identity(strings.TrimSpace(string(line))); err != nil {
		t.Fatal(err)
	}
	if g.parts = recordings.SplitFile(g.file); len(g.parts) != 5 {
		t.Fatalf("the golden recording has %d parts", len(g.parts))
	}
	return g
}

func (g golden) verify(file []byte) recordings.Result {
	return recordings.Verify(bytes.NewReader(file), int64(len(file)), []session.Trust{g.trust})
}

func TestVersionOneIsReadForEver(t *testing.T) {
	g := loadGolden(t)
	if got := g.verify(g.file); got.Result != recordings.VerdictIntact {
		t.Fatalf("%+v", got)
	}
	r, err := recordings.Open(bytes.NewReader(g.file), int64(len(g.file)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Unlock(g.identity); err != nil {
		t.Fatal(err)
	}
	events, err := drain(r)
	if err != nil || len(events) != 8 || string(events[2].Data) != "evlog -n 3\r" || string(events[5].Data) != "bye\r\n" {
		t.Fatalf("%d events, %v", len(events), err)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(loadGolden(f).parts[0])
	f.Add([]byte("SALYREC1\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, part []byte) {
		h, err := recordings.ReadHeader(part)
		if err != nil && h.Recording != "" {
			t.Fatal("an error and a header")
		}
		if (err == nil) != (recordings.CheckPart("header", part) == nil) {
			t.Fatal("two readers of one header differ")
		}
	})
}

func FuzzSeal(f *testing.F) {
	key := newScene(f).key
	f.Add(loadGolden(f).parts[4])
	f.Add([]byte("SALYEND1\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, part []byte) {
		info, err := recordings.ReadSeal(part)
		if err != nil {
			return
		}
		// What parses writes the same bytes again, but for the signature.
		again, err := recordings.SignSeal(key, info)
		if err != nil || !bytes.Equal(again[:len(again)-64], part[:len(part)-64]) {
			t.Fatalf("%q became %q, %v", part, again, err)
		}
	})
}

func FuzzSegment(f *testing.F) {
	for _, part := range loadGolden(f).parts[1:4] {
		f.Add(part)
	}
	f.Fuzz(func(t *testing.T, part []byte) {
		if _, err := recordings.PlainSegment(part); err == nil && len(part) < 208 {
			t.Fatal("a segment without a descriptor")
		}
	})
}

func FuzzFrames(f *testing.F) {
	g := loadGolden(f)
	header := g.parts[0]
	chain := recordings.ChainStart(header)
	plain, err := recordings.PlainSegment(g.parts[1])
	if err != nil {
		f.Fatal(err)
	}
	if sound, events := recordings.ScanSegment(header, plain, 0, chain); sound != int64(len(plain)) || events == 0 {
		f.Fatalf("the seed is no segment: %d of %d bytes sound", sound, len(plain))
	}
	f.Add(plain)
	f.Add(plain[:len(plain)-3])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plain []byte) {
		sound, events := recordings.ScanSegment(header, plain, 0, chain)
		if sound > int64(len(plain)) || uint64(events)*22 > uint64(sound) {
			t.Fatalf("%d sound bytes and %d events in %d bytes", sound, events, len(plain))
		}
		// The prefix is a prefix: what is sound alone stays sound.
		if again, n := recordings.ScanSegment(header, plain[:sound], 0, chain); again != sound || n != events {
			t.Fatalf("%d of %d sound bytes left", again, sound)
		}
	})
}

func FuzzFile(f *testing.F) {
	g := loadGolden(f)
	f.Add(g.file)
	f.Add(g.file[:len(g.file)-len(g.parts[4])])
	f.Add(g.file[:len(g.file)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		got := g.verify(data)
		whole := bytes.Equal(data, g.file)
		switch got.Result {
		case recordings.VerdictIntact:
			if !whole {
				t.Fatal("intact, yet not the file that was signed")
			}
		case recordings.VerdictLive:
			if !bytes.HasPrefix(g.file, data) {
				t.Fatal("live, yet not a beginning of what was signed")
			}
		case recordings.VerdictTampered:
			if got.Offset == nil || *got.Offset < 0 || *got.Offset > int64(len(data)) {
				t.Fatalf("offset %v in %d bytes", got.Offset, len(data))
			}
		case recordings.VerdictTorn, recordings.VerdictUnpinned:
			if whole {
				t.Fatalf("the true file is %s", got.Result)
			}
		default:
			t.Fatalf("verdict %q", got.Result)
		}
		if len(got.Explain()) == 0 {
			t.Fatal("not explained")
		}
	})
}

// A thief of the agent's key, or a bug, can sign what he likes: readers stay within
// their bounds.
func TestASignedBombIsDefused(t *testing.T) {
	s := newScene(t)
	s.close(s.create(nil))
	chain := recordings.ChainStart(s.part("header"))
	bomb := make([]byte, 16<<20)
	for name, declared := range map[string]uint32{"declared small": 1000, "declared whole": 16 << 20, "declared the most": recordings.MaxSegmentPlain} {
		part, err := recordings.PackSegment(s.key, 0, chain, bomb, declared)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) > 1<<20 {
			t.Fatalf("a bomb of %d bytes proves nothing", len(part))
		}
		got := s.verify(append(s.part("header"), part...))
		if got.Result != recordings.VerdictTampered || *got.Segment != 0 {
			t.Fatalf("%s: %+v", name, got)
		}
	}
}

// A file that claims huge parts makes nobody allocate them.
func TestClaimedLengthsAreBounded(t *testing.T) {
	s := small(t)
	header := s.part("header")
	for at, field := range map[int]string{20: "plain", 108: "stored"} {
		segment := s.part("seg-000000")
		binary.BigEndian.PutUint32(segment[at:], 0xfffffff0)
		r, err := recordings.Open(bytes.NewReader(append(bytes.Clone(header), segment...)), int64(len(header)+len(segment)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", field, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	binary.BigEndian.PutUint32(header[8:], 0xfffffff0)
	if _, err := recordings.Open(bytes.NewReader(header), int64(len(header))); err == nil {
		t.Error("a header of 4 GiB was read")
	}
}

// Snapshots come back as they were written, or are refused.
func FuzzSnapshots(f *testing.F) {
	f.Add([]byte{1, 0, 6, 't', 0, 0, 80, 0, 24, 0, 0, 6, '.', 0, 0, 0, 0, 1})
	f.Add([]byte{1, 0x7f, 0xff, 't', 1, 0, 80})
	f.Add([]byte{0, 0, 6, '.', 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var frames []recordings.SnapshotFrame
		for len(b) >= 3 { // stream, length, and data that is repeated where it is too short
			n := int(binary.BigEndian.Uint16(b[1:]))
			data := append(make([]byte, 0, n), b[3:min(3+n, len(b))]...)
			frames = append(frames, recordings.SnapshotFrame{Stream: uint32(b[0]), Data: append(data, make([]byte, n-len(data))...)})
			b = b[min(3+n, len(b)):]
		}
		again, err := recordings.ReadSnapshots(frames)
		if err != nil {
			return
		}
		if len(again) != len(frames) {
			t.Fatalf("%d frames became %d", len(frames), len(again))
		}
		for i, f := range frames {
			if f.Stream != again[i].Stream || !bytes.Equal(f.Data, again[i].Data) {
				t.Fatalf("frame %d changed", i)
			}
		}
	})
}
