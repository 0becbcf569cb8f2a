package recordings

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/sallyport/sallyport/session"
)

// newInputKey draws the key for a recording's sealed events and wraps it for the
// site's input recipient. The key itself is never written anywhere.
func newInputKey(recipient string) (cipher.AEAD, inputKey, error) {
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, inputKey{}, fmt.Errorf("read the site's input recipient: %w", err)
	}
	key := make([]byte, inputKeySize)
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
	aead, err := inputCipher(key)
	return aead, inputKey{Recipient: recipient, Wrapped: wrapped.Bytes()}, err
}

// inputCipher seals typed input: AES-256-GCM, which processors know; a transfer to the
// device is sealed byte by byte, and this is the dearest step of it.
func inputCipher(key []byte) (cipher.AEAD, error) {
	if len(key) != inputKeySize {
		return nil, errors.New("the wrapped input key has the wrong length")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// unwrap gets the input key back with the hospital's identity.
func (k inputKey) unwrap(identity age.Identity) (cipher.AEAD, error) {
	r, err := age.Decrypt(bytes.NewReader(k.Wrapped), identity)
	if err != nil {
		return nil, err
	}
	key, err := io.ReadAll(io.LimitReader(r, inputKeySize+1))
	defer clear(key)
	if err != nil {
		return nil, err
	}
	return inputCipher(key)
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
	b := make([]byte, 4, 12)
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
