package recordings

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Verdict is what Verify found, in one word.
type Verdict string

const (
	VerdictIntact   Verdict = "intact"   // sealed, complete, signed by a trusted agent
	VerdictLive     Verdict = "live"     // sound as far as it goes, no seal
	VerdictTorn     Verdict = "torn"     // sealed by repair: complete up to where the recorder was lost
	VerdictTampered Verdict = "tampered" // not what was signed
	VerdictUnpinned Verdict = "unpinned" // consistent, signer unknown
)

// Result is what Verify says.
type Result struct {
	Result  Verdict `json:"result"`
	Segment *int    `json:"segment"` // the first bad one
	Offset  *int64  `json:"offset"`  // of the first bad thing in the file
	Reason  string  `json:"reason"`  // one sentence without its full stop

	header  Header
	signer  ed25519.PublicKey
	seal    *SealInfo
	sealSum [32]byte
	totals  totals
	lost    error // of reading, where nothing was found out about what was signed
}

// Header is the recording's, as far as it could be read.
func (r Result) Header() Header { return r.header }

// Signer is the key that signed the recording; nil when the header could not be read.
func (r Result) Signer() ed25519.PublicKey { return r.signer }

// Seal is how the recording ended; false when no sound seal was found.
func (r Result) Seal() (SealInfo, bool) {
	if r.seal == nil {
		return SealInfo{}, false
	}
	return *r.seal, true
}

// SealHash is the SHA-256 of the seal part, as the broker logs it; zero without a seal.
func (r Result) SealHash() [32]byte { return r.sealSum }

// Extent is how many closed segments are sound, and the chain over them.
func (r Result) Extent() (segments uint32, chain [32]byte) { return r.totals.segments, r.totals.chain }

// Verify checks a recording in its single-file form against the trust bundles. It
// needs nothing else: no account, no network, no clock. A bundle counts when it names
// the recording's site and the very key that signed.
func Verify(r io.ReaderAt, size int64, trust []session.Trust) Result {
	return VerifyHeads(r, size, trust, nil)
}

// VerifyHeads is Verify that also hands over each signed head that stands in the
// recording and fits it, in order; each may be nil.
func VerifyHeads(r io.ReaderAt, size int64, trust []session.Trust, each func(witness.Head)) Result {
	reader, err := Open(r, size)
	if err != nil {
		return broken(Result{}, err)
	}
	return verify(reader, trust, each)
}

// VerifyParts is VerifyHeads for a recording whose parts stand one by one. An error is
// one of reading: then nothing is said of the recording.
func VerifyParts(open func(part string) (io.ReadCloser, error), trust []session.Trust, each func(witness.Head)) (Result, error) {
	var lost error
	reader, err := OpenParts(func(part string) (io.ReadCloser, error) {
		f, err := open(part)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			lost = err
		}
		return f, err
	})
	if lost != nil {
		return Result{}, lost
	}
	if err != nil {
		return broken(Result{}, err), nil
	}
	result := verify(reader, trust, each)
	if lost == nil {
		lost = result.lost
	}
	return result, lost
}

func verify(reader *Reader, trust []session.Trust, each func(witness.Head)) Result {
	defer reader.Close()
	var err error
	reader.heads = each
	result := Result{header: reader.Header(), signer: reader.Signer()}
	for err == nil {
		_, err = reader.Next()
	}
	result.totals, result.seal, result.sealSum = reader.totals, reader.sealed, reader.sealSum
	if !errors.Is(err, io.EOF) {
		return broken(result, err)
	}
	result.Result, result.Reason = standing(result)
	if !reader.SignedBy(trust) {
		if result.Result == VerdictLive {
			result.Reason = "consistent, signer unknown; " + result.Reason
		} else {
			result.Reason = "consistent, signer unknown"
		}
		result.Result = VerdictUnpinned
	}
	return result
}

func broken(result Result, err error) Result {
	result.Result = VerdictTampered
	offset := int64(0)
	var d *Damage
	if errors.As(err, &d) {
		result.Segment, offset, result.Reason = d.Segment, d.Offset, d.Reason
	} else {
		result.Reason, result.lost = "it cannot be read: "+err.Error(), err
	}
	result.Offset = &offset
	return result
}

// standing is the verdict over a consistent recording of a known signer.
func standing(r Result) (Verdict, string) {
	switch {
	case r.seal == nil && r.totals.segments == 0:
		return VerdictLive, "nothing proves what follows the header"
	case r.seal == nil:
		return VerdictLive, fmt.Sprintf("nothing proves what follows segment %d", r.totals.segments-1)
	case r.seal.State == Torn:
		return VerdictTorn, fmt.Sprintf("the recorder was lost and the agent sealed what it had; %d bytes of an unfinished write were left out", r.seal.Dropped)
	}
	return VerdictIntact, "every byte is as the agent signed it"
}

// SignedBy reports whether a bundle names the recording's site and the very key that signs
// it.
func (r *Reader) SignedBy(trust []session.Trust) bool {
	for _, t := range trust {
		key, err := session.ParseKeyLine(t.Identity)
		if err == nil && t.V == 1 && t.Site == r.Header().Site && key.Equal(r.Signer()) {
			return true
		}
	}
	return false
}

// Explain says the result in plain words, a line each, for people.
func (r Result) Explain() []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch r.Result {
	case VerdictIntact:
		say("Intact: complete, and every byte is as the agent of %s signed it.", r.header.Site)
	case VerdictTorn:
		say("Torn: the recorder was lost before the end. What is here is as the agent of %s signed it.", r.header.Site)
		say("%d bytes of an unfinished last write were left out.", r.seal.Dropped)
	case VerdictLive:
		say("Live: what is here is as the agent of %s signed it, but it has no seal.", r.header.Site)
		say("Not proven: %s.", r.Reason)
	case VerdictUnpinned:
		say("Consistent, signer unknown: no trust bundle names site %q with key %s.", r.header.Site, r.header.Agent)
		say("Get the bundle from the hospital (sallyport-agent trust export) and check again.")
		if r.seal == nil {
			say("It has no seal either: nothing proves what follows.")
		}
	case VerdictTampered:
		say("Tampered: this is not what was signed.")
		if r.Segment != nil {
			say("The first bad segment is number %d, at byte %d: %s.", *r.Segment, *r.Offset, r.Reason)
		} else {
			say("At byte %d: %s.", *r.Offset, r.Reason)
		}
		return lines
	}
	say("%s: %s/%s, engineer %q, started %s.", r.header.Recording, r.header.Asset, r.header.Service,
		r.header.Engineer.Shown(), r.header.Started.Format("2006-01-02 15:04:05 UTC"))
	if r.seal != nil {
		say("Ended %s (%s).", r.seal.Ended.Format("2006-01-02 15:04:05 UTC"), r.seal.Reason)
	}
	say("%s, %s, %s recorded.", counted(r.totals.segments, "segment"), counted(r.totals.events, "event"), counted(r.totals.plain, "byte"))
	return lines
}

// counted is a number with its noun.
func counted[N ~int | ~int64 | ~uint64 | ~uint32](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
