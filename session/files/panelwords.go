package files

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
)

// errPanelOver is what everything gets when there is no device any more.
var errPanelOver = session.Errorf(session.Unreachable, "The connection to the device's files has ended.").
	WithNext("Open the session again.")

// errStopped is an operation that was cancelled before it did anything.
var errStopped = session.Errorf(session.Refused, "You stopped this.").WithNext("Nothing was changed on the device.")

// answer is what the browser gets for an operation.
type answer struct {
	ID     uint32   `json:"id"`
	OK     bool     `json:"ok,omitempty"`
	Done   bool     `json:"done,omitempty"`
	Size   *int64   `json:"size,omitempty"`
	SHA256 string   `json:"sha256,omitempty"`
	Error  *problem `json:"error,omitempty"`

	page *listingView // answers instead
}

// MarshalJSON writes the answer, or the page that it stands for.
func (a answer) MarshalJSON() ([]byte, error) {
	if a.page != nil {
		page := *a.page
		page.ID = a.ID
		return encode(page), nil
	}
	type plain answer
	return encode(plain(a)), nil
}

// listingView is one page of a directory.
type listingView struct {
	ID      uint32            `json:"id"`
	OK      bool              `json:"ok"`
	Path    string            `json:"path"`
	Entries []json.RawMessage `json:"entries"`
	More    bool              `json:"more"`
	Cut     bool              `json:"cut,omitempty"`
}

// problem is an error in words.
type problem struct {
	Kind    session.Kind `json:"kind"`
	Message string       `json:"message"`
	Next    string       `json:"next"`
}

func wordsFor(err error) *problem {
	var plain *session.Error
	if !errors.As(err, &plain) {
		plain = &session.Error{Kind: session.Internal, Message: "The agent could not do this.", Next: "Tell the hospital's IT; the agent's log has the details."}
	}
	return &problem{Kind: plain.Kind, Message: plain.Message, Next: plain.Next}
}

// encode writes JSON without escapes for HTML, which would only make it longer.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte(`{}`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// explain puts a code into words. packet.OK needs none.
func (p *Panel) explain(d *Operations, o *op, code packet.Code) error {
	refused := func(kind session.Kind, next, message string) error {
		return &session.Error{Kind: kind, Message: message, Next: next}
	}
	reads := o.Op == opGet || o.Op == opList
	switch {
	case code == packet.OK:
		return nil
	case code == packet.ConnectionLost:
		return errPanelOver
	case o.Op == opGet && !p.cfg.Out:
		return refused(session.Denied, "Ask for the channel files-out in a new request.", "Downloads were not granted in this session.")
	case !reads && !p.cfg.In:
		return refused(session.Denied, "Ask for the channel files-in in a new request.", "Changes and uploads were not granted in this session.")
	case code == packet.NoSuchFile:
		return refused(session.Invalid, "Reload the folder.", "There is no "+short(o.Path)+" on the device.")
	case code == packet.PermissionDenied:
		return refused(session.Denied, "Choose another folder, or ask the hospital.", "The device does not allow this to the account of this session.")
	case code == packet.OpUnsupported:
		return refused(session.Refused, "Do it in the shell, if you have one.", "The device's file service cannot do this.")
	case (o.Op == opMkdir || o.Op == opPut) && there(d, o.Path):
		return taken(o.Path)
	}
	return refused(session.Refused, "Look at the folder, and try again.", "The device did not do this and gives no reason.")
}
