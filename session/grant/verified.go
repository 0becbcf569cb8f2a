package grant

import (
	"slices"

	"github.com/sallyport/sallyport/session"
)

// Verified is a grant that passed every check of this package. Only Verify makes
// one; the zero value is refused wherever one is asked for.
type Verified struct {
	request      Request
	grant        Grant
	requestBytes []byte
	grantBytes   []byte
	engineer     Receipt
	approvers    []Receipt
	ok           bool
}

// Valid reports whether Verify made v.
func (v Verified) Valid() bool { return v.ok }

// What it stands on. Callers get copies: nothing they do changes a Verified.
func (v Verified) Request() Request     { return v.request.clone() }
func (v Verified) Grant() Grant         { return v.grant.clone() }
func (v Verified) RequestBytes() []byte { return slices.Clone(v.requestBytes) }
func (v Verified) GrantBytes() []byte   { return slices.Clone(v.grantBytes) }
func (v Verified) Engineer() Receipt    { return v.engineer.clone() }
func (v Verified) Approvers() []Receipt {
	out := slices.Clone(v.approvers)
	for i := range out {
		out[i] = out[i].clone()
	}
	return out
}

// Covers reports whether the grant names a service of an asset.
func (v Verified) Covers(asset, service string) bool {
	return v.ok && v.grant.Asset == asset && slices.Contains(v.grant.Services, service)
}

// Allows reports whether the grant lets bytes pass in a channel.
func (v Verified) Allows(c session.Channel) bool {
	return v.ok && slices.Contains(v.grant.Channels, c)
}

// Recall remakes the Verified of a grant that Verify passed before and the ledger
// kept. It is for agent/ledger alone, which wrote the entry itself. Everything that
// needs no policy, key or clock is checked again; the number of approvers and the
// policy were judged when the grant was admitted.
func Recall(requestDoc []byte, engineer Receipt, grantDoc []byte, approvals []Receipt) (Verified, error) {
	set, err := match(requestDoc, engineer, grantDoc)
	if err != nil {
		return Verified{}, err
	}
	if len(approvals) == 0 {
		return Verified{}, notFor("approver")
	}
	for _, a := range approvals {
		if err := set.signedBy(a); err != nil {
			return Verified{}, err
		}
	}
	if err := distinct(approvals); err != nil {
		return Verified{}, err
	}
	return set.verified(approvals), nil
}

func (s documentSet) verified(approvals []Receipt) Verified {
	v := Verified{
		request: s.request, grant: s.grant, requestBytes: s.requestDoc, grantBytes: s.grantDoc,
		engineer: s.engineer.clone(), ok: true,
	}
	for _, a := range approvals {
		v.approvers = append(v.approvers, a.clone())
	}
	return v
}

func (r Request) clone() Request {
	r.Services, r.Channels = slices.Clone(r.Services), slices.Clone(r.Channels)
	return r
}

func (g Grant) clone() Grant {
	g.Services, g.Channels, g.Obl = slices.Clone(g.Services), slices.Clone(g.Channels), slices.Clone(g.Obl)
	return g
}

func (r Receipt) clone() Receipt {
	r.Proof.Salt, r.Key, r.Groups = slices.Clone(r.Proof.Salt), slices.Clone(r.Key), slices.Clone(r.Groups)
	r.Passkey = r.Passkey.clone()
	return r
}
