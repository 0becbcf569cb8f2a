package recordings

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sallyport/sallyport/session"
)

// newInputKey draws the key for a recording's sealed events and wraps it for the
// site's input recipient. The key itself is never written anywhere.
func newInputKey(recipient string) (cipher.AEAD, inputKey, error) {
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, inputKey{}, fmt.Errorf("read the site's input recipient: %w", err)
	}
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key)
	defer clear(key)
	var wrapped bytes.Buffer
	w, err := age.Encrypt(&wrapped, to)
	if err != nil {
		return nil, inputKey{}, err
	}
	if _, err := w.Write(key); err != nil {
		return nil, inputKey{}, err
	}
	if err := w.Close(); err != nil {
		return nil, inputKey{}, err
	}
	aead, err := chacha20poly1305.New(key)
	return aead, inputKey{Recipient: recipient, Wrapped: wrapped.Bytes()}, err
}

// unwrap gets the input key back with the hospital's identity.
func (k inputKey) unwrap(identity age.Identity) (cipher.AEAD, error) {
	r, err := age.Decrypt(bytes.NewReader(k.Wrapped), identity)
	if err != nil {
		return nil, err
	}
	key, err := io.ReadAll(io.LimitReader(r, chacha20poly1305.KeySize+1))
	defer clear(key)
	if err != nil {
		return nil, err
	}
	if len(key) != chacha20poly1305.KeySize {
		return nil, errors.New("the wrapped input key has the wrong length")
	}
	return chacha20poly1305.New(key)
}

const inputDomain = "sallyport/v1/recording-input\x00"

// place is where a sealed event stands; it is bound into the ciphertext, so none
// can be moved, and gives the nonce, which is never used twice under one key.
type place struct {
	id      session.ID
	segment uint32
	frame   uint32 // ordinal in the segment, the opening frame is 0
	kind    byte
	stream  uint32
	at      int64
}

func (p place) nonce() []byte {
	b := make([]byte, 4, chacha20poly1305.NonceSize)
	b = binary.BigEndian.AppendUint32(b, p.segment)
	return binary.BigEndian.AppendUint32(b, p.frame)
}

func (p place) bound() []byte {
	b := append([]byte(inputDomain), p.id[:]...)
	b = binary.BigEndian.AppendUint32(b, p.segment)
	b = binary.BigEndian.AppendUint32(b, p.frame)
	b = append(b, p.kind)
	b = binary.BigEndian.AppendUint32(b, p.stream)
	return binary.BigEndian.AppendUint64(b, uint64(p.at))
}
