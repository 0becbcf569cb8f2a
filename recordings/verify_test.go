package recordings_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

func TestASealedRecordingIsIntact(t *testing.T) {
	s := small(t)
	got := s.verify(s.file())
	if got.Result != recordings.VerdictIntact || got.Segment != nil || got.Offset != nil {
		t.Fatalf("verify: %+v", got)
	}
	if n := len(s.parts()); n != 5 {
		t.Fatalf("the recording has %d parts, the tests below want header, 3 segments, seal", n)
	}
	b, err := json.Marshal(got)
	if err != nil || string(b) != `{"result":"intact","segment":null,"offset":null,"reason":"every byte is as the agent signed it"}` {
		t.Fatalf("JSON %s, %v", b, err)
	}
	if text := strings.Join(got.Explain(), "\n"); !strings.Contains(text, "Intact") || !strings.Contains(text, "NGH-PETCT1/recon-ssh") {
		t.Fatalf("explained as:\n%s", text)
	}
}

// spans says where each part begins and ends in the assembled file.
func spans(s *scene) (names []string, starts []int) {
	at := 0
	for _, n := range s.parts() {
		names, starts = append(names, n), append(starts, at)
		at += len(s.part(n))
	}
	return names, append(starts, at)
}

// Usually every fifth byte, which meets every bit, and both ends of every part; with
// SALLYPORT_PROVE all of them.
func TestEveryFlippedByteIsFoundAndNamed(t *testing.T) {
	s := small(t)
	all := os.Getenv("SALLYPORT_PROVE") != ""
	file := s.file()
	names, starts := spans(s)
	for p, name := range names {
		for i := starts[p]; i < starts[p+1]; i++ {
			if inner := i > starts[p]+16 && i < starts[p+1]-16; inner && i%5 != 0 && !all {
				continue
			}
			masks := []byte{1 << (i % 8)}
			if i%31 == 0 {
				masks = []byte{1, 2, 4, 8, 16, 32, 64, 128, 0x20, 0xff}
			}
			for _, m := range masks {
				file[i] ^= m
				got := s.verify(file)
				file[i] ^= m
				if got.Result != recordings.VerdictTampered {
					t.Fatalf("byte %d of %s ^ %#x: %+v", i-starts[p], name, m, got)
				}
				if got.Offset == nil || int(*got.Offset) < starts[p] || int(*got.Offset) > i {
					t.Fatalf("byte %d of %s at %d: offset %v", i-starts[p], name, i, *got.Offset)
				}
				named(t, got, name, p)
				if text := strings.Join(got.Explain(), "\n"); !strings.Contains(text, "Tampered") {
					t.Fatalf("explained as %s", text)
				}
			}
		}
	}
	if got := s.verify(file); got.Result != recordings.VerdictIntact {
		t.Fatalf("the test did not put the bytes back: %+v", got)
	}
}

// named checks that the right segment is blamed. Where the seal's own magic is
// broken, what stands there may as well be the next segment.
func named(t *testing.T, got recordings.Result, name string, position int) {
	t.Helper()
	if strings.HasPrefix(name, "seg-") && (got.Segment == nil || *got.Segment != position-1) {
		t.Fatalf("%s is bad, blamed is %v", name, got.Segment)
	}
	if name == recordings.HeaderPart && got.Segment != nil {
		t.Fatalf("the header is bad, blamed is segment %d", *got.Segment)
	}
	if name == recordings.SealPart && got.Segment != nil && *got.Segment != position-1 {
		t.Fatalf("the seal is bad, blamed is segment %d", *got.Segment)
	}
}

func TestEveryTruncationIsFound(t *testing.T) {
	s := small(t)
	file := s.file()
	_, starts := spans(s)
	for n := range len(file) {
		got := s.verify(file[:n])
		want := recordings.VerdictTampered
		if n > 0 && slices.Contains(starts, n) {
			want = recordings.VerdictLive
		}
		if got.Result != want {
			t.Fatalf("cut to %d of %d bytes: %+v", n, len(file), got)
		}
	}
	for segments, reason := range []string{"the header", "segment 0", "segment 1", "segment 2"} {
		got := s.verify(file[:starts[segments+1]])
		if got.Reason != "nothing proves what follows "+reason || got.Segment != nil {
			t.Fatalf("%d segments without a seal: %+v", segments, got)
		}
	}
}

func TestInsertedRemovedAndTrailingBytesAreFound(t *testing.T) {
	s := small(t)
	file := s.file()
	for i := range len(file) + 1 {
		if i%3 == 0 {
			longer := slices.Insert(slices.Clone(file), i, byte(i))
			if got := s.verify(longer); got.Result != recordings.VerdictTampered {
				t.Fatalf("%#x inserted at %d: %+v", byte(i), i, got)
			}
		} else if i < len(file) {
			if got := s.verify(slices.Delete(slices.Clone(file), i, i+1)); got.Result != recordings.VerdictTampered {
				t.Fatalf("byte %d removed: %+v", i, got)
			}
		}
	}
	got := s.verify(append(slices.Clone(file), file...))
	if got.Result != recordings.VerdictTampered || int(*got.Offset) != len(file) {
		t.Fatalf("the file twice: %+v", got)
	}
}

func TestSegmentsDroppedSwappedRepeatedAreNamed(t *testing.T) {
	s := small(t)
	const h, a, b, c, e = "header", "seg-000000", "seg-000001", "seg-000002", "seal"
	for _, tc := range []struct {
		order []string
		first int // bad segment
	}{
		{[]string{h, b, c, e}, 0},
		{[]string{h, a, c, e}, 1},
		{[]string{h, a, b, e}, 2},
		{[]string{h, a, e}, 1},
		{[]string{h, e}, 0},
		{[]string{h, b, a, c, e}, 0},
		{[]string{h, a, c, b, e}, 1},
		{[]string{h, c, b, a, e}, 0},
		{[]string{h, a, a, b, c, e}, 1},
		{[]string{h, a, b, b, c, e}, 2},
		{[]string{h, a, b, c, c, e}, 3},
		{[]string{h, a, b, c, a, e}, 3},
		{[]string{h, b}, 0},
		{[]string{h, h, a, b, c, e}, 0},
		{[]string{h, a, h, b, c, e}, 1},
	} {
		var file []byte
		for _, n := range tc.order {
			file = append(file, s.part(n)...)
		}
		got := s.verify(file)
		if got.Result != recordings.VerdictTampered || got.Segment == nil || *got.Segment != tc.first {
			t.Errorf("%v: %+v", tc.order, got)
		}
	}
	for _, order := range [][]string{{a, b, c, e}, {e, h, a, b, c}, {h, a, b, c, e, e}, {h, a, b, c, e, h}, {}} {
		var file []byte
		for _, n := range order {
			file = append(file, s.part(n)...)
		}
		if got := s.verify(file); got.Result != recordings.VerdictTampered {
			t.Errorf("%v: %+v", order, got)
		}
	}
}

// A second recording by the same agent: every part is honestly signed, in the wrong place.
func TestPartsOfAnotherRecordingAreNamed(t *testing.T) {
	s := small(t)
	other := &scene{t: t, key: s.key, input: s.input, dir: s.dir + "-other", header: s.header}
	other.header.Recording = session.NewID().Recording()
	w := other.create(func(o *recordings.Options) { o.SegmentBytes = 1 })
	other.record(w, output("one"), output("two"), output("three"))
	other.close(w)
	names, _ := spans(s)
	for p, name := range names {
		var file []byte
		for _, n := range names {
			from := s
			if n == name {
				from = other
			}
			file = append(file, from.part(n)...)
		}
		got := s.verify(file)
		if got.Result != recordings.VerdictTampered {
			t.Fatalf("%s spliced in: %+v", name, got)
		}
		want := p - 1
		if name == recordings.HeaderPart {
			want = 0 // the segments do not hang on this header
		}
		if name == recordings.SealPart {
			if got.Segment != nil {
				t.Fatalf("a foreign seal is blamed on segment %d", *got.Segment)
			}
		} else if got.Segment == nil || *got.Segment != want {
			t.Fatalf("%s spliced in: %+v", name, got)
		}
	}
}

func TestOnlyTheBundleOfThatSiteAndKeyMakesItIntact(t *testing.T) {
	s := small(t)
	file := s.file()
	verify := func(trust ...session.Trust) recordings.Result {
		return recordings.Verify(bytes.NewReader(file), int64(len(file)), trust)
	}
	right := s.trust()[0]
	stranger, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, otherSite, broken, future := right, right, right, right
	otherKey.Identity = session.KeyLine(stranger)
	otherSite.Site = "MERCY"
	broken.Identity = "ssh-ed25519 nonsense"
	future.V = 2
	for name, trust := range map[string][]session.Trust{
		"no bundle": nil, "same site, other key": {otherKey}, "other site, same key": {otherSite},
		"unreadable key": {broken}, "unknown version": {future}, "none of several": {otherKey, otherSite, broken},
		"zero bundle": {{}},
	} {
		got := verify(trust...)
		if got.Result != recordings.VerdictUnpinned || got.Reason != "consistent, signer unknown" || got.Segment != nil || got.Offset != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := verify(otherKey, right); got.Result != recordings.VerdictIntact {
		t.Errorf("the right bundle among others: %+v", got)
	}
	file = file[:len(file)-len(s.part("seal"))]
	if got := verify(); got.Result != recordings.VerdictUnpinned || !strings.Contains(got.Reason, "nothing proves what follows segment 2") {
		t.Errorf("unknown signer and no seal: %+v", got)
	}
}

// A forger with a key of his own writes the same session anew under the agent's name.
func TestAForgeryUnderTheAgentsNameIsNeverIntact(t *testing.T) {
	s := small(t)
	forger := newScene(t)
	forger.header = s.header
	if _, err := recordings.Create(forger.dir, forger.header, forger.options()); err == nil {
		t.Fatal("a header that names another agent's key was accepted")
	}
	forger.header.Agent = session.Fingerprint(forger.public())
	w := forger.create(nil)
	forger.record(w, output("nothing happened here"))
	forger.close(w)
	if got := s.verify(forger.file()); got.Result != recordings.VerdictUnpinned {
		t.Fatalf("signed with another key: %+v", got)
	}
	// Mixed: the true beginning, the forger's seal.
	file := slices.Concat(s.part("header"), s.part("seg-000000"), forger.part("seal"))
	if got := s.verify(file); got.Result != recordings.VerdictTampered {
		t.Fatalf("a forger's seal on a true beginning: %+v", got)
	}
	info, err := recordings.ReadSeal(s.part("seal"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := recordings.SignSeal(forger.key, info)
	if err != nil {
		t.Fatal(err)
	}
	file = slices.Concat(s.part("header"), s.part("seg-000000"), s.part("seg-000001"), s.part("seg-000002"), again)
	if got := s.verify(file); got.Result != recordings.VerdictTampered {
		t.Fatalf("the true seal signed again by a forger: %+v", got)
	}
}

// Even the true key cannot make a seal that lies about what stands before it.
func TestASealThatLiesIsFound(t *testing.T) {
	s := small(t)
	info, err := recordings.ReadSeal(s.part("seal"))
	if err != nil {
		t.Fatal(err)
	}
	body := slices.Concat(s.part("header"), s.part("seg-000000"), s.part("seg-000001"), s.part("seg-000002"))
	for name, lie := range map[string]func(*recordings.SealInfo){
		"segments":  func(i *recordings.SealInfo) { i.Segments++ },
		"fewer":     func(i *recordings.SealInfo) { i.Segments-- },
		"events":    func(i *recordings.SealInfo) { i.Events++ },
		"plain":     func(i *recordings.SealInfo) { i.Plain++ },
		"stored":    func(i *recordings.SealInfo) { i.Stored-- },
		"chain":     func(i *recordings.SealInfo) { i.Chain = strings.Repeat("00", 32) },
		"at":        func(i *recordings.SealInfo) { i.At++ },
		"recording": func(i *recordings.SealInfo) { i.Recording = session.NewID().Recording() },
		"state":     func(i *recordings.SealInfo) { i.State = "live" },
		"version":   func(i *recordings.SealInfo) { i.V = 2 },
	} {
		lying := info
		lie(&lying)
		seal, err := recordings.SignSeal(s.key, lying)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.verify(append(slices.Clone(body), seal...)); got.Result != recordings.VerdictTampered {
			t.Errorf("a seal that lies about %s: %+v", name, got)
		}
	}
}
