package mpps

import (
	"encoding/binary"
	"slices"
)

// UIDs of the standard (PS3.6).
const (
	uidApplication  = "1.2.840.10008.3.1.1.1"
	uidVerification = "1.2.840.10008.1.1"
	uidMPPS         = "1.2.840.10008.3.1.2.3.3"
	uidImplicit     = "1.2.840.10008.1.2"
	uidExplicit     = "1.2.840.10008.1.2.1"
)

// implementation names this program to peers; the UID was made of a random UUID.
const implementation, implementationName = "2.25.309471882730651446094537823571469231174", "SALLYPORT"

// presentation is a context that was accepted.
type presentation struct {
	abstract string
	explicit bool // the transfer syntax
}

// rejection is result, source and reason (PS3.8 section 9.3.4), a byte each; 0: none.
type rejection uint32

const (
	noSuchApplication rejection = 0x010102
	noSuchCalling     rejection = 0x010103
	noSuchCalled      rejection = 0x010107
)

func (r rejection) pdu() []byte {
	return pdu(pduAssociateRJ, binary.BigEndian.AppendUint32(nil, uint32(r)))
}

// abort is an A-ABORT of the provider's.
func abort() []byte { return pdu(pduAbort, []byte{0, 0, 2, 0}) }

// accept answers a request, and says which contexts were accepted.
func accept(q request) (answer []byte, contexts map[byte]presentation) {
	contexts = map[byte]presentation{}
	body := []byte{0, 1, 0, 0}
	body = append(body, title(q.called)...)
	body = append(body, title(q.calling)...)
	body = append(body, make([]byte, 32)...)
	body = append(body, item(0x10, []byte(uidApplication))...)
	for _, p := range q.contexts {
		const accepted, noAbstract, noTransfer = 0, 3, 4
		result, transfer := byte(accepted), p.transfer[0]
		i := slices.IndexFunc(p.transfer, func(s string) bool { return s == uidImplicit || s == uidExplicit })
		switch {
		case p.abstract != uidVerification && p.abstract != uidMPPS:
			result = noAbstract
		case i < 0:
			result = noTransfer
		default:
			transfer = p.transfer[i]
			contexts[p.id] = presentation{abstract: p.abstract, explicit: transfer == uidExplicit}
		}
		body = append(body, item(0x21, append([]byte{p.id, 0, result, 0}, item(0x40, []byte(transfer))...))...)
	}
	user := item(0x51, binary.BigEndian.AppendUint32(nil, maxPDU))
	user = append(user, item(0x52, []byte(implementation))...)
	user = append(user, item(0x55, []byte(implementationName))...)
	return pdu(pduAssociateAC, append(body, item(0x50, user)...)), contexts
}

// title fills an AE title up.
func title(s string) []byte {
	out := []byte("                ")
	copy(out, s)
	return out
}
