package identity

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// sealKind holds the keys that seal sign-ins under way: one of each day, of all nodes.
const sealKind = "trip-key"

// seal makes the state of a sign-in: all that has to be known on the way back, readable to
// the brokers alone. Whoever has proven nothing yet keeps it themselves and has us write
// nothing down, however often they ask.
func (d *Identity) seal(ctx context.Context, t roundTrip) (string, error) {
	box, err := d.box(ctx, t.Created)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(box.Seal(nonce, nonce, body, nil)), nil
}

// unseal reads the state of a sign-in; without ok it is none of ours, or of long ago.
func (d *Identity) unseal(ctx context.Context, state string) (t roundTrip, ok bool, err error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(state)
	if err != nil || len(state) > maxState {
		return t, false, nil
	}
	now := d.cfg.Now()
	for _, day := range []time.Time{now, now.Add(-roundTripTime)} {
		box, err := d.box(ctx, day)
		if err != nil {
			return t, false, err
		}
		if len(sealed) < box.NonceSize() {
			return t, false, nil
		}
		body, err := box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], nil)
		if err == nil {
			err = json.Unmarshal(body, &t)
			return t, err == nil, err
		}
	}
	return t, false, nil
}

// box is the day's seal; its first use makes its key.
func (d *Identity) box(ctx context.Context, at time.Time) (cipher.AEAD, error) {
	day := at.UTC().Format(time.DateOnly)
	doc, err := d.cfg.Sessions.Get(ctx, sealKind, day)
	if isGone(err) {
		key := make([]byte, 32)
		_, _ = rand.Read(key)
		if err = d.cfg.Sessions.Create(ctx, sealKind, day, key, 48*time.Hour); err == nil || errors.Is(err, store.ErrExists) {
			doc, err = d.cfg.Sessions.Get(ctx, sealKind, day)
		}
	}
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(doc.Body)
	if err != nil {
		return nil, session.Errorf(session.Internal, "read the key of sign-ins: %w", err)
	}
	return cipher.NewGCM(block)
}
