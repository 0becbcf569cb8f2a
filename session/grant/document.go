package grant

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

const (
	version     = 1
	requestType = "sallyport-request"
	grantType   = "sallyport-grant"
)

// The kinds of a request.
const (
	KindSession   = "session"
	KindExtension = "extension"
	KindHandover  = "handover"
)

// The obligations that a grant may carry; record always is.
const (
	Record    = "record"
	Consent   = "consent"
	HoldFiles = "hold-files"
	ViewOnly  = "view-only"
)

// NewRequest and NewGrant start a document: version, type and a fresh id.
func NewRequest() Request {
	return Request{V: version, Typ: requestType, RID: session.NewID().Text(), Kind: KindSession}
}

func NewGrant() Grant {
	return Grant{V: version, Typ: grantType, GID: session.NewID().Text(), Obl: []string{Record}}
}

// ParseRequest reads a request's exact bytes. There is one spelling per document:
// whatever Marshal would not have written byte for byte is refused, so duplicate
// names, other cases, unknown or missing names, white space and trailing data are.
// Errors are Invalid.
func ParseRequest(doc []byte) (Request, error) {
	var r Request
	if err := decode(doc, MaxDocument, &r); err != nil {
		return Request{}, unreadable("request", err)
	}
	again, err := r.Marshal()
	if err != nil {
		return Request{}, err
	}
	if !bytes.Equal(again, doc) {
		return Request{}, unreadable("request", errors.New("not in canonical form"))
	}
	return r, nil
}

// ParseGrant reads a grant's exact bytes, as strictly as ParseRequest.
func ParseGrant(doc []byte) (Grant, error) {
	var g Grant
	if err := decode(doc, MaxDocument, &g); err != nil {
		return Grant{}, unreadable("grant", err)
	}
	again, err := g.Marshal()
	if err != nil {
		return Grant{}, err
	}
	if !bytes.Equal(again, doc) {
		return Grant{}, unreadable("grant", errors.New("not in canonical form"))
	}
	return g, nil
}

// Marshal writes the bytes that are hashed, shown and sent; nobody ever encodes the
// document again. It refuses what ParseRequest would refuse.
func (r Request) Marshal() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return encode("request", r)
}

// Targets are the full names of the services that a grant allows.
func (g Grant) Targets() (all []session.Target) {
	for _, service := range g.Services {
		all = append(all, session.Target{Site: g.Site, Asset: g.Asset, Service: service})
	}
	return all
}

// Marshal writes the grant's exact bytes; see Request.Marshal.
func (g Grant) Marshal() ([]byte, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return encode("grant", g)
}

func decode(doc []byte, most int, into any) error {
	if len(doc) > most {
		return fmt.Errorf("%d bytes", len(doc))
	}
	if !utf8.Valid(doc) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("data after the document")
	}
	return nil
}

func encode(noun string, doc any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, unreadable(noun, err)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) > MaxDocument {
		return nil, invalid(noun, "is larger than 4096 bytes", "Shorten the reason.")
	}
	return out, nil
}

// check is what every request must satisfy, whoever reads it.
func (r Request) check() error {
	const noun = "request"
	switch {
	case r.V != version || r.Typ != requestType:
		return invalid(noun, "is of another type or version", "Bring sallyport up to date on both sides.")
	case !goodID(r.RID):
		return invalid(noun, "has no proper id", "")
	case !goodParent(r.Kind, r.Parent):
		return invalid(noun, "has no known kind, or names an earlier grant where none belongs", "")
	case !goodText(r.Eng.Iss, 1, maxIss) || !goodText(r.Eng.Sub, 1, maxSub):
		return invalid(noun, "does not name its engineer", "")
	case r.Key != "" && checkKeyLine(r.Key) != nil:
		return invalid(noun, "carries a key that is not a plain ed25519 or P-256 key line", "Let sallyport make the key.")
	case !goodText(r.Reason, 0, MaxReason):
		return invalid(noun, "has a reason that is too long or holds control characters", "Write the reason in at most 1000 plain characters.")
	case !goodText(r.Ref, 0, MaxRef):
		return invalid(noun, "has a work order that is too long or holds control characters", "Give the work order's number alone.")
	}
	return r.Terms().check(noun)
}

// check is what every grant must satisfy, whoever reads it.
func (g Grant) check() error {
	const noun = "grant"
	switch {
	case g.V != version || g.Typ != grantType:
		return invalid(noun, "is of another type or version", "Bring sallyport up to date on both sides.")
	case !goodID(g.GID):
		return invalid(noun, "has no proper id", "")
	case !goodHash(g.Req):
		return invalid(noun, "does not name its request", "")
	case !goodFingerprint(g.Agent):
		return invalid(noun, "does not name its agent", "")
	case !slices.Contains(g.Obl, Record) || !sorted(g.Obl, knownObligation):
		return invalid(noun, "does not list its obligations properly", "")
	}
	return g.Terms().check(noun)
}

// Terms are the fields that request and grant have in common.
type Terms struct {
	Site, Asset    string
	Services       []string
	Class          session.Class
	Channels       []session.Channel
	NBF, EXP, MaxS int64
	// Crit is how many seconds of a session may be a critical section, in all, in which the
	// interlock raises an alarm in place of a freeze, and which may outlast the session's
	// end. Zero, none, is not written.
	Crit int64
}

// Terms are what a request asks for.
func (r Request) Terms() Terms {
	return Terms{r.Site, r.Asset, r.Services, r.Class, r.Channels, r.NBF, r.EXP, r.MaxS, r.Crit}
}

// Terms are what a grant allows.
func (g Grant) Terms() Terms {
	return Terms{g.Site, g.Asset, g.Services, g.Class, g.Channels, g.NBF, g.EXP, g.MaxS, g.Crit}
}

func (t Terms) check(noun string) error {
	const lastSecond = 253402300799 // of the year 9999
	switch {
	case !session.ValidName(t.Site) || !session.ValidName(t.Asset):
		return invalid(noun, "does not name a site and a scanner", "")
	case len(t.Services) == 0 || !sorted(t.Services, session.ValidName):
		return invalid(noun, "does not list its services properly", "Name at least one service, each once.")
	case !t.Class.Known():
		return invalid(noun, "has an unknown service class", "Use observe, non-disruptive or disruptive.")
	case t.Channels == nil || !sorted(t.Channels, session.Channel.Known):
		return invalid(noun, "does not list its channels properly", "")
	case t.NBF < 0 || t.EXP <= t.NBF || t.EXP > lastSecond:
		return invalid(noun, "does not end after it begins", "Give a window whose end lies after its beginning.")
	case t.MaxS < 1 || t.MaxS > math.MaxInt32:
		return invalid(noun, "does not say how long a session may be", "")
	case t.Crit < 0 || t.Crit > int64(session.MaxCritical/time.Second):
		return invalid(noun, "has a critical section of an impossible length", "A critical section is at most "+span(session.MaxCritical)+" long.")
	case t.Crit > 0 && t.Class != session.Disruptive:
		return invalid(noun, "has a critical section in a class that is not disruptive", "Only disruptive work has critical sections.")
	}
	return nil
}

func goodID(s string) bool {
	id, err := session.ParseText(s)
	return err == nil && !id.IsZero()
}

func goodParent(kind, parent string) bool {
	switch kind {
	case KindSession:
		return parent == ""
	case KindExtension, KindHandover:
		return goodID(parent)
	}
	return false
}

func goodHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s
}

func goodFingerprint(s string) bool {
	body, ok := strings.CutPrefix(s, "SHA256:")
	b, err := base64.RawStdEncoding.Strict().DecodeString(body)
	return ok && err == nil && len(b) == 32 && base64.RawStdEncoding.EncodeToString(b) == body
}

func knownObligation(s string) bool {
	return s == Record || s == Consent || s == HoldFiles || s == ViewOnly
}

// sorted reports whether a list is strictly ascending, short, and every item good.
func sorted[S ~string](list []S, good func(S) bool) bool {
	for i, s := range list {
		if !good(s) || i > 0 && list[i-1] >= s {
			return false
		}
	}
	return len(list) <= maxList
}

// goodText reports whether people can be shown s as it is: bounded UTF-8 without
// control characters, line breaks or marks that turn the reading direction.
func goodText(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && wording.Plain(s)
}

func unreadable(noun string, err error) error {
	return &session.Error{
		Kind:    session.Invalid,
		Message: "The " + noun + " is not a Sallyport " + noun + " in its one permitted spelling.",
		Next:    "Let sallyport make a new one.",
		Err:     err,
	}
}

func invalid(noun, what, next string) error {
	if next == "" {
		next = "Let sallyport make a new one."
	}
	return &session.Error{Kind: session.Invalid, Message: "The " + noun + " " + what + ".", Next: next}
}
