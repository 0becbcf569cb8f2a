package files

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/pkg/sftp"

	"github.com/sallyport/sallyport/session"
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

// explain puts the code that Serve gave into words. nil stays nil.
func (p *Panel) explain(c *sftp.Client, o *op, err error) error {
	refused := func(kind session.Kind, next, message string) error {
		return &session.Error{Kind: kind, Message: message, Next: next, Err: err}
	}
	reads := o.Op == opGet || o.Op == opList
	switch {
	case err == nil || isPlain(err):
		return err
	case isLost(err):
		return errPanelOver
	case o.Op == opGet && !p.cfg.Out:
		return refused(session.Denied, "Ask for the channel files-out in a new request.", "Downloads were not granted in this session.")
	case !reads && !p.cfg.In:
		return refused(session.Denied, "Ask for the channel files-in in a new request.", "Changes and uploads were not granted in this session.")
	case errors.Is(err, os.ErrNotExist):
		return refused(session.Invalid, "Reload the folder.", "There is no "+short(o.Path)+" on the device.")
	case errors.Is(err, os.ErrPermission):
		return refused(session.Denied, "Choose another folder, or ask the hospital.", "The device does not allow this to the account of this session.")
	case hasCode(err, sftp.ErrSSHFxOpUnsupported):
		return refused(session.Refused, "Do it in the shell, if you have one.", "The device's file service cannot do this.")
	case o.Op == opMkdir || o.Op == opPut:
		if _, there := c.Lstat(o.Path); there == nil {
			return taken(o.Path)
		}
	}
	return refused(session.Refused, "Look at the folder, and try again.", "The device did not do this and gives no reason.")
}

// isPlain reports whether an error is in words already.
func isPlain(err error) bool {
	var plain *session.Error
	return errors.As(err, &plain)
}

// isFailure reports whether the device failed without saying why.
func isFailure(err error) bool { return hasCode(err, sftp.ErrSSHFxFailure) }

func hasCode(err, code error) bool {
	var status *sftp.StatusError
	return errors.As(err, &status) && error(status.FxCode()) == code
}

// isLost reports whether the pipe to Serve is gone.
func isLost(err error) bool {
	return errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.ErrUnexpectedEOF)
}
