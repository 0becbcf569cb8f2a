package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Proofs is what a token that came from a round trip is good for, and the documents
// that its nonce must cover. *access.Access is one.
type Proofs interface {
	Documents(ctx context.Context, c access.Caller, id string) (Documents, error)
	Submit(ctx context.Context, c access.Caller, raw []byte, p grant.Proof) (Request, error)
	Approve(ctx context.Context, c access.Caller, id string, raw []byte, p grant.Proof) (Request, bool, error)
	Activate(ctx context.Context, c access.Caller, id string, key string, p grant.Proof) (Request, error)
}

// errand is what a proof is for, while its person is away.
type errand struct {
	Role     grant.Role `json:"role"`
	ID       string     `json:"id"`
	Document []byte     `json:"document"`
	Key      string     `json:"key"`
	Salt     []byte     `json:"salt"`
	Popup    bool       `json:"popup"`
	Silent   bool       `json:"silent,omitempty"`
}

var errNonce = &session.Error{Kind: session.Invalid, Message: "What was to be proved and what the page computed are not the same.",
	Next: "Reload the page and try again; if it stays so, tell whoever runs this broker."}

// startProof sends a signed-in person to their identity provider for a token whose
// nonce covers a document. The nonce is computed here once more: a page that is not
// ours, or is broken, gets no token for anything else.
func (d *door) startProof(w http.ResponseWriter, r *http.Request) error {
	who, err := d.admitted(r, session.Engineer, session.Approver, session.Auditor)
	if err != nil {
		return err
	}
	if !who.Web {
		return &session.Error{Kind: session.Denied, Message: "Proofs by way of the broker are for browsers.", Next: "The sallyport command brings its own."}
	}
	var in ProofStart
	if err := readJSON(r, &in); err != nil {
		return err
	}
	e := errand{Role: grant.Role(in.Role), ID: in.ID, Document: in.Document, Key: in.Key, Salt: in.Salt, Popup: in.Popup, Silent: in.Silent}
	nonce, err := d.nonceOf(r.Context(), who, e)
	if err != nil {
		return err
	}
	if nonce != in.Nonce {
		return errNonce
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return d.depart(w, func() (identity.Departure, error) {
		return d.Web.Browsers.StartProof(r.Context(), visit(r), who.Caller,
			identity.Question{Nonce: nonce, Fresh: e.Role == grant.RoleApprove, Silent: e.Silent && e.Role == grant.RoleWatch, Errand: body})
	})
}

// nonceOf checks an errand as far as that needs no token, and computes its nonce.
func (d *door) nonceOf(ctx context.Context, who signedIn, e errand) (string, error) {
	if len(e.Salt) != 32 {
		return "", errNonce
	}
	salt, may := [32]byte(e.Salt), who.Is(session.Engineer)
	switch e.Role {
	case grant.RoleApprove:
		may = who.Is(session.Approver)
	case grant.RoleWatch:
		may = who.Is(session.Approver) || who.Is(session.Auditor)
	}
	if !may {
		return "", notAllowed()
	}
	if e.Role == grant.RoleWatch {
		if _, err := session.ParseSessionID(e.ID); err != nil || e.Key == "" || len(e.Key) > 512 || len(e.Document) > 0 {
			return "", errNonce
		}
		return grant.WatchNonce(e.ID, e.Key, salt), nil
	}
	if e.Role == grant.RoleRequest {
		return nonceOfRequest(who, e, salt)
	}
	papers, err := d.Web.Proofs.Documents(ctx, who, e.ID)
	if err != nil {
		return "", err
	}
	switch e.Role {
	case grant.RoleApprove:
		if e.Key != "" {
			return "", errNonce
		}
		if _, err := grant.ParseGrant(e.Document); err != nil {
			return "", err
		}
		return grant.ApproveNonce(e.Document, papers.Token, salt), nil
	case grant.RoleActivate:
		if len(papers.Grant) == 0 {
			return "", &session.Error{Kind: session.Refused, Message: "The hospital has not answered yet.", Next: "Wait for its answer."}
		}
		if e.Key == "" || len(e.Key) > 512 || len(e.Document) > 0 {
			return "", errNonce
		}
		return grant.ActivateNonce(papers.Grant, e.Key, salt), nil
	}
	return "", errNonce
}

func nonceOfRequest(who signedIn, e errand, salt [32]byte) (string, error) {
	if e.ID != "" || e.Key != "" {
		return "", errNonce
	}
	doc, err := grant.ParseRequest(e.Document)
	if err != nil {
		return "", err
	}
	if doc.Eng != who.Identity {
		return "", &session.Error{Kind: session.Denied, Message: "The request is somebody else's.", Next: "Sign in as the engineer who asks."}
	}
	return grant.RequestNonce(e.Document, salt), nil
}

// outcome does what a proof is for, and says how that ended. The token goes to the
// agent by way of access, and nowhere else.
func (d *door) outcome(ctx context.Context, b identity.Callback, failed error) Outcome {
	o := Outcome{Role: "login", Return: "/"}
	if b.Return != "" {
		o.Return = b.Return
	}
	if b.Errand != nil {
		var e errand
		if err := json.Unmarshal(b.Errand, &e); err != nil {
			failed = session.Errorf(session.Internal, "read an errand: %w", err)
		}
		o.Role, o.Popup, o.Request = string(e.Role), e.Popup, e.ID
		switch {
		case failed == nil && e.Role == grant.RoleWatch:
			var until time.Time
			until, failed = d.Access.Watch(ctx, b.Caller, e.ID, e.Key, grant.Proof{Token: b.Token, Salt: e.Salt})
			o.Until = &until
		case failed == nil:
			o.Request, o.Admitted, failed = d.run(ctx, b, e)
		}
		if e.Role == grant.RoleWatch {
			o.Return = "/sessions/" + e.ID
		} else if o.Request != "" {
			o.Return = "/requests/" + o.Request
		}
	}
	if failed != nil {
		o.Problem = &d.problem(ctx, failed).Problem
	}
	o.OK = failed == nil
	return o
}

// run hands the proof over.
func (d *door) run(ctx context.Context, b identity.Callback, e errand) (request string, admitted bool, err error) {
	proof := grant.Proof{Token: b.Token, Salt: e.Salt}
	if e.Role == grant.RoleRequest {
		r, err := d.Web.Proofs.Submit(ctx, b.Caller, e.Document, proof)
		if err != nil {
			return "", false, err
		}
		return r.ID, false, nil
	}
	switch e.Role {
	case grant.RoleApprove:
		_, admitted, err = d.Web.Proofs.Approve(ctx, b.Caller, e.ID, e.Document, proof)
	case grant.RoleActivate:
		_, err = d.Web.Proofs.Activate(ctx, b.Caller, e.ID, e.Key, proof)
	default:
		err = session.Errorf(session.Internal, "a proof for %.20q", e.Role)
	}
	return e.ID, admitted, err
}
