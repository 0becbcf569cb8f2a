package exchange

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// The sections of a pack, in their one order. Each stands there once, if only with
// no content.
const (
	recordingSection     = iota + 1 // the container, as recordings.Assemble writes it
	papersSection                   // as SignPapers writes it
	receiptsSection                 // as witness.SignList writes it; once the recording is sealed
	countersignedSection            // the broker's receipts, one after the other; before that
	auditSection                    // the audit log's proof; not looked into here
)

const (
	packMagic   = "SALYPAK1"
	sectionHead = 1 + 8
	packTail    = ed25519.PublicKeySize + witness.SignatureSize
)

// largest is the bound of each section's content, in bytes.
func largest(section int) int64 {
	switch section {
	case recordingSection:
		return maxRecording
	case papersSection:
		return maxPapers
	case receiptsSection, countersignedSection:
		return witness.MaxListBytes
	}
	return maxAudit
}

// Contents is what goes into a pack.
type Contents struct {
	Recording     io.Reader // gives Size bytes
	Size          int64
	Papers        []byte
	Receipts      []byte // the agent's list
	Countersigned []byte // the broker's own receipts; left out when the agent's list is there
	Audit         []byte
}

// Write writes a pack, signed by the broker's countersigning key. The same contents
// make the same bytes.
func Write(w io.Writer, c Contents, broker crypto.Signer) error {
	pub, err := witness.PublicKey(broker)
	if err != nil {
		return err
	}
	if len(c.Receipts) > 0 {
		c.Countersigned = nil
	}
	hash := sha256.New()
	out := io.MultiWriter(w, hash)
	if _, err := io.WriteString(out, packMagic); err != nil {
		return err
	}
	if err := writeSection(out, recordingSection, c.Recording, c.Size); err != nil {
		return err
	}
	for i, b := range [][]byte{c.Papers, c.Receipts, c.Countersigned, c.Audit} {
		if err := writeSection(out, papersSection+i, bytes.NewReader(b), int64(len(b))); err != nil {
			return err
		}
	}
	if _, err := out.Write(pub); err != nil {
		return err
	}
	sig, err := witness.Sign(broker, witness.Pack, hash.Sum(nil))
	if err != nil {
		return err
	}
	_, err = w.Write(sig[:])
	return err
}

func writeSection(w io.Writer, section int, content io.Reader, size int64) error {
	if size < 0 || size > largest(section) {
		return fmt.Errorf("section %d of a pack cannot have %d bytes", section, size)
	}
	head := binary.BigEndian.AppendUint64([]byte{byte(section)}, uint64(size))
	if _, err := w.Write(head); err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(content, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// IsPack reports whether a file begins as a pack does.
func IsPack(r io.ReaderAt) bool {
	b := make([]byte, len(packMagic))
	_, err := r.ReadAt(b, 0)
	return (err == nil || errors.Is(err, io.EOF)) && string(b) == packMagic
}

// Open reads the recording in an evidence pack, or one that stands alone. It reads and
// does not judge: Verify does that.
func Open(r io.ReaderAt, size int64) (*recordings.Reader, error) {
	if !IsPack(r) {
		return recordings.Open(r, size)
	}
	p, damage := read(r, size)
	if damage != nil {
		return nil, &session.Error{Kind: session.Invalid, Message: "This is not a sound evidence pack", Err: damage,
			Next: "Run sallyport verify on it to see where it breaks."}
	}
	return recordings.Open(p.section(recordingSection), p.span[recordingSection].size)
}

// span is where a section's content stands in the file.
type span struct{ at, size int64 }

// pack is a pack taken apart, not yet believed.
type pack struct {
	r    io.ReaderAt
	size int64
	span [auditSection + 1]span
}

// read takes a pack apart: every byte belongs to exactly one thing.
func read(r io.ReaderAt, size int64) (pack, *recordings.Damage) {
	p := pack{r: r, size: size}
	if !IsPack(r) {
		return p, &recordings.Damage{Reason: "it does not begin as an evidence pack does"}
	}
	at := int64(len(packMagic))
	for section := recordingSection; section <= auditSection; section++ {
		head := make([]byte, sectionHead)
		if at+sectionHead > size-packTail {
			return p, &recordings.Damage{Offset: at, Reason: "the file ends before its " + nameOf(section) + " does"}
		}
		if _, err := r.ReadAt(head, at); err != nil {
			return p, &recordings.Damage{Offset: at, Reason: "it cannot be read: " + err.Error()}
		}
		n := binary.BigEndian.Uint64(head[1:])
		switch {
		case head[0] != byte(section):
			return p, &recordings.Damage{Offset: at, Reason: "what stands here is not its " + nameOf(section)}
		case n > uint64(largest(section)):
			return p, &recordings.Damage{Offset: at, Reason: "its " + nameOf(section) + " would be longer than the format allows"}
		case n > uint64(size-packTail-at-sectionHead):
			return p, &recordings.Damage{Offset: at, Reason: "the file ends before its " + nameOf(section) + " does"}
		}
		p.span[section] = span{at + sectionHead, int64(n)}
		at += sectionHead + int64(n)
	}
	if at != size-packTail {
		return p, &recordings.Damage{Offset: at, Reason: "something follows the last section"}
	}
	if p.span[receiptsSection].size > 0 && p.span[countersignedSection].size > 0 {
		return p, &recordings.Damage{Offset: p.span[countersignedSection].at, Reason: "it holds the countersignatures twice"}
	}
	return p, nil
}

func nameOf(section int) string {
	return [...]string{"", "recording", "papers", "list of countersignatures", "countersignatures", "audit proof"}[section]
}

// section is a section's content.
func (p pack) section(n int) *io.SectionReader {
	return io.NewSectionReader(p.r, p.span[n].at, p.span[n].size)
}

func (p pack) bytes(n int) ([]byte, error) {
	b := make([]byte, p.span[n].size)
	_, err := io.ReadFull(p.section(n), b)
	return b, err
}

// sealed checks the broker's signature over the whole file and returns its key.
func (p pack) sealed() (ed25519.PublicKey, bool) {
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(p.r, 0, p.size-witness.SignatureSize)); err != nil {
		return nil, false
	}
	tail := make([]byte, packTail)
	if _, err := p.r.ReadAt(tail, p.size-packTail); err != nil && !errors.Is(err, io.EOF) {
		return nil, false
	}
	pub := ed25519.PublicKey(tail[:ed25519.PublicKeySize])
	return pub, witness.Verify(pub, witness.Pack, hash.Sum(nil), tail[ed25519.PublicKeySize:])
}
