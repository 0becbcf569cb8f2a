package grant

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// RequestHash is qh: what an engineer's token covers and a grant names.
func RequestHash(doc []byte) [32]byte { return tagged("sallyport/request/v1\x00", doc) }

// GrantHash is gh: what approvers' tokens cover.
func GrantHash(doc []byte) [32]byte { return tagged("sallyport/grant/v1\x00", doc) }

func tagged(tag string, doc []byte) [32]byte {
	return sha256.Sum256(append([]byte(tag), doc...))
}

// NewSalt draws the 32 bytes that travel beside one token and hide from the identity
// provider what its nonce covers.
func NewSalt() [32]byte {
	var salt [32]byte
	_, _ = rand.Read(salt[:])
	return salt
}

// Nonce binds a token to what it is for: 43 characters of base64url over the SHA-256
// of role, subject, extra and salt. After the role's terminating NUL every part has
// a fixed length, so no two inputs run together.
func Nonce(role Role, subject, extra, salt [32]byte) string {
	h := sha256.New()
	h.Write([]byte("sallyport/v1/" + string(role) + "\x00"))
	h.Write(subject[:])
	h.Write(extra[:])
	h.Write(salt[:])
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// RequestNonce is the nonce of the engineer's token for a request.
func RequestNonce(request []byte, salt [32]byte) string {
	return Nonce(RoleRequest, RequestHash(request), [32]byte{}, salt)
}

// ApproveNonce is the nonce of an approver's token for a grant. It also covers the
// engineer's token, so that no other proof can be put beside the request later.
func ApproveNonce(grant []byte, requestToken string, salt [32]byte) string {
	return Nonce(RoleApprove, GrantHash(grant), sha256.Sum256([]byte(requestToken)), salt)
}

// ActivateNonce is the nonce of the engineer's token by which a key joins a grant.
func ActivateNonce(grant []byte, keyLine string, salt [32]byte) string {
	return Nonce(RoleActivate, GrantHash(grant), KeyHash(keyLine), salt)
}

// WatchNonce is the nonce of the token by which somebody of the hospital may watch a
// session, S-..., with a key.
func WatchNonce(id, keyLine string, salt [32]byte) string {
	return Nonce(RoleWatch, WatchSubject(id), KeyHash(keyLine), salt)
}

// WatchSubject is what a token to watch a session covers beside the key.
func WatchSubject(id string) [32]byte { return sha256.Sum256([]byte(id)) }

// salt is the proof's salt, if it has the right length.
func (p Proof) salt() ([32]byte, bool) {
	if len(p.Salt) != 32 {
		return [32]byte{}, false
	}
	return [32]byte(p.Salt), true
}
