package files

import (
	"errors"
	"sync"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/held"
)

// Out takes what a panel tells its browser. Its methods but Room are called one at a
// time. An error says that the browser is gone.
type Out interface {
	// Room waits until the browser has room for content or a page of a listing. It
	// alone may wait, and several calls may; the others only queue.
	Room() error
	// Answer sends a JSON document of at most 16 KiB.
	Answer(json []byte) error
	// Data sends content of a download, at most 32 KiB.
	Data(id uint32, p []byte) error
	// Credit lets the browser send n more bytes of an upload.
	Credit(id, n uint32) error
}

// PanelConfig says where a panel's operations go and who hears the answers.
type PanelConfig struct {
	// Serve says what the operations may do and where: it calls work, which returns when
	// the panel is closed or the device is gone, and returns its error. It is called once,
	// with the first operation. Its gate must let go of what waits there when the browser
	// is gone, or Close waits too.
	Serve func(work func(Config) error) error
	// In and Out are what was granted. Operations decide; here they choose the words.
	In, Out bool
	To      Out
	// Ahead is what the session may ask for before the browser takes it; nil: its own alone.
	Ahead *held.Share
}

// Panel serves the file operations of one browser by Operations, whose policy, gate,
// record and limits are those of sftp. What a browser asks for is JSON, answered each by
// its id:
//
//	{"id","op":"list","path"}  {"id","ok":true,"path","entries":[…],"more"}, again with the
//	                           same id while more is true; "cut" in the last where a
//	                           directory has more than 20,000 entries. "" is the home.
//	{"id","op":"get","path"}   {"id","ok":true,"size"}, data as far as credit goes,
//	                           {"id","done":true,"size","sha256"}
//	{"id","op":"put","path","size","replace"}
//	                           {"id","ok":true}, credit, data, end, {"id","done":true,"size","sha256"}
//	{"id","op":"mkdir"|"remove","path"}, {"id","op":"rename","path","to"}   {"id","ok":true}
//	{"id","op":"cancel","of"}  {"id","ok":true}; what was cancelled answers for itself
//
// Anything may be answered by {"id","error":{"kind","message","next"}} instead, which
// ends the operation. An entry is {"name","dir","size","modified","mode"}, with "link"
// for a symbolic link and "unusable" where the entry has no name by which it could be
// reached from here. In names and paths, both ways, a backslash is \\ and what cannot be
// shown is \xHH, byte by byte. Behind a freeze operations wait.
//
// A panel may be used by several goroutines; no method waits for the device.
type Panel struct {
	cfg   PanelConfig
	say   sync.Mutex // one call of cfg.To at a time
	small chan *op   // what moves no content, one after the other
	slots chan struct{}
	gone  chan struct{} // closed by stop
	ready chan struct{} // closed when device or fault is known
	work  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	ops     map[uint32]*op
	started bool // with the first operation
	device  *Operations
	fault   error // why there is no device, or no more
	stopped bool
}

// NewPanel makes a panel. Nothing happens before its first operation; Close ends it.
func NewPanel(cfg PanelConfig) *Panel {
	if cfg.Ahead == nil {
		cfg.Ahead = NewAhead().By(held.Owner{})
	}
	return &Panel{
		cfg: cfg, small: make(chan *op, maxOps), slots: make(chan struct{}, maxTransfers),
		gone: make(chan struct{}), ready: make(chan struct{}), ops: map[uint32]*op{},
	}
}

// Handle takes one operation. What is wrong with it is answered, never returned.
func (p *Panel) Handle(message []byte) {
	r, err := parseOp(message)
	if err != nil {
		p.answer(answer{ID: r.ID, Error: wordsFor(err)})
		return
	}
	if r.Op == opCancel {
		p.cancel(r.Of)
		p.answer(answer{ID: r.ID, OK: true})
		return
	}
	o := newOp(r)
	if err := p.accept(o); err != nil {
		p.answer(answer{ID: r.ID, Error: wordsFor(err)})
	}
}

// accept starts an operation, and the panel with the first one.
func (p *Panel) accept(o *op) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopped:
		return errPanelOver
	case p.ops[o.ID] != nil:
		return session.Errorf(session.Invalid, "This number is in use by another operation.").WithNext("Reload the page.")
	case len(p.ops) >= maxOps:
		return session.Errorf(session.Refused, "Too many operations wait already.").WithNext("Wait until some are done.")
	}
	if !p.started {
		p.start()
	}
	p.ops[o.ID] = o
	if !o.moves() {
		p.small <- o // has room for all that are accepted
		return nil
	}
	p.work.Go(func() {
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		case <-o.cancelled:
		case <-p.gone:
		}
		p.run(o)
	})
	return nil
}

// start connects to the device. p.mu is held.
func (p *Panel) start() {
	p.started = true
	p.work.Go(func() {
		p.failed(p.cfg.Serve(p.serve))
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.device == nil {
			close(p.ready)
		}
	})
	p.work.Go(func() {
		for {
			select {
			case o := <-p.small:
				p.run(o)
			case <-p.gone:
				return
			}
		}
	})
}

// serve lets the operations go to the device until that or the panel is gone.
func (p *Panel) serve(cfg Config) error {
	device, err := Dial(cfg)
	if err != nil {
		return err
	}
	defer device.Close()
	p.mu.Lock()
	p.device = device
	close(p.ready)
	p.mu.Unlock()
	select {
	case <-p.gone:
	case <-device.Gone():
	}
	return errPanelOver
}

// failed notes why there is no way to the device; the first reason stays.
func (p *Panel) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == nil {
		var plain *session.Error
		if p.fault = errPanelOver; errors.As(err, &plain) {
			p.fault = plain
		}
	}
}

// way waits for the device.
func (p *Panel) way(o *op) (*Operations, error) {
	select {
	case <-o.cancelled:
		return nil, errStopped
	case <-p.gone:
		return nil, errPanelOver
	case <-p.ready:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault != nil {
		return nil, p.fault
	}
	return p.device, nil
}

// run does an operation and answers for it.
func (p *Panel) run(o *op) {
	var last answer
	d, err := p.way(o)
	if err == nil && o.isCancelled() {
		err = errStopped
	}
	if err == nil {
		last, err = p.do(d, o)
	}
	p.mu.Lock()
	delete(p.ops, o.ID)
	if p.fault != nil && err != nil && !errors.Is(err, errStopped) {
		err = p.fault
	}
	p.mu.Unlock()
	if err != nil {
		last = answer{Error: wordsFor(err)}
	}
	last.ID = o.ID
	p.answer(last)
}

func (p *Panel) do(d *Operations, o *op) (answer, error) {
	switch o.Op {
	case opList:
		return p.list(d, o)
	case opGet:
		return p.get(d, o)
	case opPut:
		return p.put(d, o)
	case opMkdir:
		return answer{OK: true}, p.mkdir(d, o)
	case opRemove:
		return answer{OK: true}, p.remove(d, o)
	default:
		return answer{OK: true}, p.rename(d, o)
	}
}

// Data takes content of an upload. What comes for an upload that is over is dropped:
// it was under way. An error says that the browser sent more than it may, which
// ended the upload; it keeps no promise, and the caller may well hang up.
func (p *Panel) Data(id uint32, data []byte) error {
	if o := p.find(id, opPut); o != nil {
		return o.offer(data)
	}
	return nil
}

// End says that an upload is complete.
func (p *Panel) End(id uint32) {
	if o := p.find(id, opPut); o != nil {
		o.end()
	}
}

// Credit lets a download send n more bytes.
func (p *Panel) Credit(id, n uint32) {
	if o := p.find(id, opGet); o != nil {
		o.allow(int64(n))
	}
}

func (p *Panel) find(id uint32, verb string) *op {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.ops[id]; o != nil && o.Op == verb {
		return o
	}
	return nil
}

func (p *Panel) cancel(id uint32) {
	p.mu.Lock()
	o := p.ops[id]
	p.mu.Unlock()
	if o != nil {
		o.cancel()
	}
}

// Close ends everything and waits for it. What was under way is cut off: of an upload
// the device keeps what it has, and the record says that the connection ended.
func (p *Panel) Close() {
	p.stop()
	p.work.Wait()
}

// stop ends everything and waits for nothing.
func (p *Panel) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.stopped = true
	close(p.gone)
}

// tell calls Out; a browser that is gone stops the panel.
func (p *Panel) tell(what func(Out) error) error {
	p.say.Lock()
	defer p.say.Unlock()
	select {
	case <-p.gone:
		return errPanelOver
	default:
	}
	if err := what(p.cfg.To); err != nil {
		p.stop()
		return errPanelOver
	}
	return nil
}

// room waits before more is told than an answer.
func (p *Panel) room() error {
	if err := p.cfg.To.Room(); err != nil {
		p.stop()
		return errPanelOver
	}
	return nil
}

func (p *Panel) answer(a any) {
	_ = p.tell(func(to Out) error { return to.Answer(encode(a)) })
}
