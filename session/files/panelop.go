package files

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/sallyport/sallyport/session"
)

// The operations.
const (
	opList   = "list"
	opGet    = "get"
	opPut    = "put"
	opMkdir  = "mkdir"
	opRemove = "remove"
	opRename = "rename"
	opCancel = "cancel"
)

// request is an operation as the browser asks for it.
type request struct {
	ID       uint32
	Op       string
	Path, To string
	Size     int64
	Replace  bool
	Of       uint32
}

// wireOp is its JSON; what is left out is nil.
type wireOp struct {
	ID      *uint32 `json:"id"`
	Op      string  `json:"op"`
	Path    *string `json:"path"`
	To      *string `json:"to"`
	Size    *int64  `json:"size"`
	Replace *bool   `json:"replace"`
	Of      *uint32 `json:"of"`
}

// parseOp reads an operation: every field that it needs and no other. The id is kept
// where it can be read, so that the answer finds its question.
func parseOp(message []byte) (request, error) {
	unreadable := session.Errorf(session.Invalid, "That is no file operation.").WithNext("Reload the page.")
	var w wireOp
	if len(message) > maxMessage || !utf8.Valid(message) {
		return request{}, unreadable
	}
	d := json.NewDecoder(bytes.NewReader(message))
	d.DisallowUnknownFields()
	err := d.Decode(&w)
	var r request
	if w.ID != nil {
		r.ID = *w.ID
	}
	if _, more := d.Token(); err != nil || more != io.EOF || w.ID == nil {
		return r, unreadable
	}
	r.Op = w.Op
	has := func(field bool, wanted ...string) bool { return field == slices.Contains(wanted, w.Op) }
	known := []string{opList, opGet, opPut, opMkdir, opRemove, opRename, opCancel}
	if !slices.Contains(known, w.Op) || !has(w.Path != nil, opList, opGet, opPut, opMkdir, opRemove, opRename) || !has(w.To != nil, opRename) ||
		!has(w.Size != nil, opPut) || !has(w.Replace != nil, opPut) || !has(w.Of != nil, opCancel) {
		return r, unreadable
	}
	if w.Of != nil {
		r.Of = *w.Of
		return r, nil
	}
	var ok, okTo bool
	r.Path, ok = read(*w.Path)
	if okTo = w.To == nil; !okTo {
		r.To, okTo = read(*w.To)
	}
	if !ok || !okTo {
		return r, session.Errorf(session.Invalid, "The name is not written as names are here.").WithNext("Reload the page.")
	}
	if w.Op == opPut {
		r.Size, r.Replace = *w.Size, *w.Replace
	}
	return r, r.check()
}

// check refuses names that are none, and sizes that no file has.
func (r request) check() error {
	names := []string{r.Path}
	if r.Op == opRename {
		names = append(names, r.To)
	}
	for _, name := range names {
		switch {
		case name == "" && r.Op != opList:
			return session.Errorf(session.Invalid, "The file has no name.").WithNext("Name it.")
		case len(name) > maxPath:
			return session.Errorf(session.Invalid, "The name is too long.").WithNext("Use a shorter one; a path has at most 4,096 bytes.")
		}
	}
	if r.Size < 0 || r.Size > maxSize {
		return session.Errorf(session.Invalid, "No file has this size.").WithNext("Choose the file again.")
	}
	return nil
}

// op is an operation under way.
type op struct {
	request
	cancelled chan struct{}
	stir      chan struct{} // something below changed; has room for one

	mu     sync.Mutex // guards what follows
	over   bool       // cancelled
	credit int64      // download: bytes that may be sent; upload: that may come
	held   []byte     // upload: what came
	ended  bool       // upload: that was all
	wrong  error      // upload: the browser broke its word
}

func newOp(r request) *op {
	return &op{request: r, cancelled: make(chan struct{}), stir: make(chan struct{}, 1)}
}

// moves reports whether the operation moves content.
func (o *op) moves() bool { return o.Op == opGet || o.Op == opPut }

func (o *op) cancel() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.over = true
		close(o.cancelled)
	}
}

func (o *op) isCancelled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.over
}

func (o *op) stirred() {
	select {
	case o.stir <- struct{}{}:
	default:
	}
}

// allow adds credit; beyond the largest file it makes no difference.
func (o *op) allow(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.credit = min(o.credit+n, maxSize)
	o.stirred()
}

// take takes at most n of the credit, or nothing where there is none.
func (o *op) take(n int64) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return 0
	}
	have := min(o.credit, n)
	o.credit -= have
	return have
}

// spend is take that waits until there is some.
func (o *op) spend(n int64, gone <-chan struct{}) (int64, error) {
	for {
		if have := o.take(n); have > 0 {
			return have, nil
		}
		if err := o.wait(gone); err != nil {
			return 0, err
		}
	}
}

// offer takes content of an upload, as far as there is credit.
func (o *op) offer(data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.stirred()
	if o.over || o.wrong != nil {
		return nil
	}
	if int64(len(data)) > o.credit || o.ended {
		o.wrong = session.Errorf(session.Invalid, "The browser sent more of the file than it announced.").WithNext("Choose the file again.")
		o.held = nil
		return o.wrong
	}
	o.credit -= int64(len(data))
	o.held = append(o.held, data...)
	return nil
}

// fail ends an upload that the device did not take.
func (o *op) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wrong == nil {
		o.wrong, o.held = err, nil
	}
	o.stirred()
}

func (o *op) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.stirred()
}

// next waits for content of an upload; io.EOF when that was all.
func (o *op) next(gone <-chan struct{}) ([]byte, error) {
	for {
		o.mu.Lock()
		data, ended, wrong := o.held, o.ended, o.wrong
		o.held = nil
		o.mu.Unlock()
		switch {
		case wrong != nil:
			return nil, wrong
		case o.isCancelled():
			return nil, errStopped
		case len(data) > 0:
			return data, nil
		case ended:
			return nil, io.EOF
		}
		if err := o.wait(gone); err != nil {
			return nil, err
		}
	}
}

func (o *op) wait(gone <-chan struct{}) error {
	select {
	case <-o.stir:
		return nil
	case <-o.cancelled:
		return errStopped
	case <-gone:
		return errPanelOver
	}
}
