package page

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/agent/console/provider"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

// Decisions are the hospital's about requests, as the agent takes them. Implemented by
// package agent.
type Decisions interface {
	// Visit checks the token of a sign-in, which answers the nonce.
	Visit(ctx context.Context, nonce, token string) (Visitor, error)
	// Draft is what would be signed of a request: as asked, or less; what somebody else
	// approved already, where somebody has.
	Draft(request string, less grant.Less, who Visitor) (*Draft, error)
	// Approve takes a proof of a draft's grant, and says in words what came of it.
	Approve(ctx context.Context, d *Draft, who Visitor, proof grant.Proof) (Outcome, error)
	// Deny closes a request for good.
	Deny(request string, by Visitor, reason string) error
}

// Draft is a grant that could be signed, and what it says. All of it is read from the bytes
// of the grant and of the request that its engineer signed.
type Draft struct {
	Request  Request
	Grant    []byte // exact bytes
	Engineer string // the engineer's token, which the signature covers, too
	Allows   []string
	Cautions []string
	Patients []string // what its class may do in each state of the scanner
	Before   string   // who approved the same already
	Proofs
	Choices
}

// Proofs are with what its reader can still approve.
type Proofs struct {
	ByToken, ByKey bool
	Both           bool      // one alone is no approval
	Host           string    // to which their passkeys are bound
	Keys           []Passkey // theirs
}

// Choices are what an approver can allow instead; none where it is as it was asked, or not
// at all.
type Choices struct {
	Longest, Classes, Channels []Option
}

// Option is one of them.
type Option struct {
	Value, Words string
	On           bool
}

// Outcome is what came of an approval.
type Outcome struct{ Title, Text string }

// Hash names the draft's grant.
func (d *Draft) Hash() string {
	sum := grant.GrantHash(d.Grant)
	return hex.EncodeToString(sum[:])
}

// approver is who decides, or why they may not.
func (p *page) approver(r *http.Request) (Visitor, [32]byte, error) {
	who, key, _ := p.signIns.whose(r, true)
	switch {
	case who == nil:
		return Visitor{}, key, session.Errorf(session.Denied, "To decide about a request needs a sign-in at the hospital's identity provider; the PIN names nobody.").
			WithNext("Sign in there and open the request again.")
	case !who.Approves:
		return Visitor{}, key, session.Errorf(session.Denied, "%s is signed in and is not one of the hospital's approvers.", who.Name).
			WithNext("Ask one of them, or ask hospital IT for the group.")
	}
	return *who, key, nil
}

// decide shows what an approver would sign.
func (p *page) decide(w http.ResponseWriter, r *http.Request) {
	p.read(w, r, r.URL.Query().Get("request"), grant.Less{}, nil)
}

// narrow shows less of it.
func (p *page) narrow(w http.ResponseWriter, r *http.Request) {
	id, less, err := lessOf(r)
	p.read(w, r, id, less, err)
}

func lessOf(r *http.Request) (id string, less grant.Less, err error) {
	known := []string{"request", "longest", "class"}
	for _, c := range everyChannel() {
		known = append(known, "channel-"+string(c))
	}
	fields, err := form(r, known...)
	if err != nil {
		return "", less, err
	}
	less.Class, less.Channels = session.Class(fields["class"]), []session.Channel{}
	if less.MaxS, err = strconv.ParseInt(fields["longest"], 10, 32); err != nil || less.MaxS < 1 || !less.Class.Known() {
		return "", less, session.Errorf(session.Invalid, "That is no length, or no class.").WithNext("Open the request again.")
	}
	for _, c := range everyChannel() {
		if _, on := fields["channel-"+string(c)]; on {
			less.Channels = append(less.Channels, c)
		}
	}
	return fields["request"], less, nil
}

// everyChannel is every way that some protocol has.
func everyChannel() (all []session.Channel) {
	for _, p := range session.Protocols() {
		all = append(all, p.Channels()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// read shows a draft to an approver, who signs that one and no other.
func (p *page) read(w http.ResponseWriter, r *http.Request, id string, less grant.Less, err error) {
	who, key, err2 := p.approver(r)
	if err2 != nil {
		p.show(w, r, err2)
		return
	}
	var d *Draft
	if err == nil {
		d, err = p.cfg.Decisions.Draft(id, less, who)
	}
	if last := p.signIns.read(key, nil); err != nil && last != nil && last.Request.ID == id { // as it was, and why not otherwise
		p.reading(w, last, who, err)
		return
	}
	if err != nil {
		p.show(w, r, err)
		return
	}
	p.signIns.read(key, d)
	p.reading(w, d, who, nil)
}

func (p *page) reading(w http.ResponseWriter, d *Draft, who Visitor, err error) {
	v := struct {
		*Draft
		Site    string
		Who     Visitor
		Problem *session.Error
	}{Draft: d, Site: p.boards.fresh(liveEvery).Site, Who: who}
	status := http.StatusOK
	if err != nil {
		v.Problem = sentence(err)
		status = v.Problem.Kind.Status()
	}
	p.draw(w, status, "decide", v)
}

// approve sends an approver to sign the very grant that they read.
func (p *page) approve(w http.ResponseWriter, r *http.Request) {
	fields, err := form(r, "request", "grant")
	who, key, err2 := p.approver(r)
	if err == nil {
		err = err2
	}
	if err != nil {
		p.show(w, r, err)
		return
	}
	d := p.signIns.read(key, nil)
	if d == nil || d.Hash() != fields["grant"] || d.Request.ID != fields["request"] {
		p.show(w, r, session.Errorf(session.Refused, "That is not what you read last, so nothing was signed.").WithNext("Open the request again, and decide in one window."))
		return
	}
	x := &trip{draft: d, salt: grant.NewSalt(), signed: key, who: &who}
	q := provider.Question{Nonce: grant.ApproveNonce(d.Grant, d.Engineer, x.salt), Hint: who.Person.Email, Fresh: true}
	if err := p.leave(w, r, x, q, "Now prove that it is you"); err != nil {
		p.cfg.Log.Warn("no approval at the agent's page", "from", r.RemoteAddr, "request", d.Request.ID, "err", err)
		p.reading(w, d, who, err)
	}
}

// signed takes an approver's signature.
func (p *page) signed(w http.ResponseWriter, r *http.Request, x *trip, token string, err error) {
	if err == nil && !p.signIns.still(x.signed) {
		err = session.Errorf(session.Denied, "You were signed out here in the meantime, so nothing was approved.").WithNext("Sign in again and open the request.")
	}
	var o Outcome
	if err == nil {
		o, err = p.cfg.Decisions.Approve(r.Context(), x.draft, *x.who, grant.Proof{Token: token, Salt: x.salt[:]})
	}
	p.cfg.Log.Info("signed on the agent's page", "request", x.draft.Request.ID, "user", x.who.Person.Sub, "from", r.RemoteAddr, "err", err)
	if err != nil {
		p.stop(w, "Not approved", err)
		return
	}
	p.step(w, http.StatusOK, step{Title: o.Title, Text: o.Text, Target: "/", Label: "Back to the page"})
}

// deny says no, with a reason that the engineer reads.
func (p *page) deny(w http.ResponseWriter, r *http.Request) {
	fields, err := form(r, "request", "reason")
	who, key, err2 := p.approver(r)
	if err == nil {
		err = err2
	}
	reason := strings.TrimSpace(fields["reason"])
	if err == nil && (!wording.Says(reason) || !wording.Plain(reason) || len(reason) > maxReason) {
		err = session.Errorf(session.Invalid, "Say why in one line of at most %d characters, so that the engineer knows what to do.", maxReason).WithNext("For example: scanner in use until 15:00.")
	}
	if err == nil {
		err = p.cfg.Decisions.Deny(fields["request"], who, reason)
	}
	p.cfg.Log.Info("pressed on the agent's page", "what", "deny", "request", fields["request"], "user", who.Person.Sub, "from", r.RemoteAddr, "err", err)
	switch d := p.signIns.read(key, nil); {
	case err == nil:
		http.Redirect(w, r, "/?done=denied", http.StatusSeeOther)
	case err2 == nil && d != nil && d.Request.ID == fields["request"]:
		p.reading(w, d, who, err)
	default:
		p.show(w, r, err)
	}
}
