package exchange

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Papers are what opened a session: the exact documents, and every token with its
// salt, the time at which it came in and the key that verified it.
type Papers struct {
	V         int             `json:"v"`         // 1
	Recording string          `json:"recording"` // V-...
	Session   string          `json:"session"`   // S-...
	Request   []byte          `json:"request"`   // exact bytes
	Grant     []byte          `json:"grant"`     // exact bytes
	Engineer  grant.Receipt   `json:"engineer"`
	Approvers []grant.Receipt `json:"approvers"`
}

const (
	papersMagic = "SALYPAP1"
	papersHead  = len(papersMagic) + 4
)

// PapersOf are the papers of a recording made under a grant.
func PapersOf(h recordings.Header, v grant.Verified) Papers {
	return Papers{
		V: 1, Recording: h.Recording, Session: h.Session, Request: v.RequestBytes(), Grant: v.GrantBytes(),
		Engineer: v.Engineer(), Approvers: v.Approvers(),
	}
}

// SignPapers makes the papers part: 8 bytes magic, 4 length, canonical JSON, 64
// signature of the agent's identity key.
func SignPapers(s crypto.Signer, p Papers) ([]byte, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	if len(body) > maxPapers-papersHead-witness.SignatureSize {
		return nil, fmt.Errorf("papers of %d bytes are too many", len(body))
	}
	part := binary.BigEndian.AppendUint32([]byte(papersMagic), uint32(len(body)))
	part = append(part, body...)
	sig, err := witness.Sign(s, witness.Papers, part)
	return append(part, sig[:]...), err
}

// ParsePapers reads a papers part of the agent with this key, strictly.
func ParsePapers(part []byte, pub ed25519.PublicKey) (Papers, error) {
	var p Papers
	if len(part) < papersHead+witness.SignatureSize || len(part) > maxPapers || !bytes.HasPrefix(part, []byte(papersMagic)) {
		return Papers{}, errors.New("they are not papers of a session")
	}
	signed, sig := part[:len(part)-witness.SignatureSize], part[len(part)-witness.SignatureSize:]
	body := signed[papersHead:]
	if int64(binary.BigEndian.Uint32(part[len(papersMagic):])) != int64(len(body)) {
		return Papers{}, errors.New("their length is wrong")
	}
	if !witness.Verify(pub, witness.Papers, signed, sig) {
		return Papers{}, errors.New("the agent's signature under them does not fit")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return Papers{}, fmt.Errorf("they cannot be read: %w", err)
	}
	again, err := json.Marshal(p)
	if err != nil || !bytes.Equal(again, body) {
		return Papers{}, errors.New("they are not in canonical form")
	}
	if p.V != 1 {
		return Papers{}, errors.New("they were written by a newer Sallyport")
	}
	return p, nil
}

// fit reports why papers are not those of a recording; empty: they are.
func (p Papers) fit(h recordings.Header) string {
	r, err := grant.ParseRequest(p.Request)
	if err != nil {
		return "the request in the papers cannot be read"
	}
	g, err := grant.ParseGrant(p.Grant)
	if err != nil {
		return "the grant in the papers cannot be read"
	}
	rid, _ := session.ParseText(r.RID)
	gid, _ := session.ParseText(g.GID)
	gh := grant.GrantHash(p.Grant)
	switch {
	case p.Recording != h.Recording:
		return "the papers are of another recording, " + p.Recording
	case p.Session != h.Session || gid.Session() != h.Session:
		return "the papers are of another session, " + p.Session
	case hex.EncodeToString(gh[:]) != h.GrantHash:
		return "the recording was made under another grant than the papers hold"
	case rid.Request() != h.Request:
		return "the papers are of another request, " + rid.Request()
	case g.Agent != h.Agent || g.Site != h.Site:
		return "the grant is for another agent"
	case g.Asset != h.Asset || !slices.Contains(g.Services, h.Service):
		return "the grant is not for " + h.Asset + "/" + h.Service
	case p.Engineer.Person != h.Engineer:
		return "the recording names another engineer than the papers"
	case !samePeople(p.Approvers, h.Approvers):
		return "the recording names other approvers than the papers"
	}
	return ""
}

func samePeople(receipts []grant.Receipt, people []session.Person) bool {
	return slices.EqualFunc(receipts, people, func(r grant.Receipt, p session.Person) bool { return r.Person == p })
}
