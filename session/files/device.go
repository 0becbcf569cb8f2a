package files

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session/files/packet"
)

var (
	// errLost is for what cannot be asked any more.
	errLost = errors.New("the device's sftp server is gone")
	// errTalks is for an account whose login shell prints something before anything else,
	// also where nobody reads it. No sftp client gets past that.
	errTalks = errors.New("text instead of sftp")
)

// device is the device's sftp server. What is sent keeps its order, and answers are
// handled in the order in which they come, one at a time.
type device struct {
	channel  ssh.Channel
	from     *bufio.Reader
	offers   map[packet.Op]bool
	capacity packet.Capacity // as the device says, or zeros
	settle   func(*step, packet.Response)
	gone     chan struct{} // closed when everything has been answered
	drained  sync.WaitGroup

	sending sync.Mutex // one packet at a time; guards out
	out     []byte

	mu      sync.Mutex // guards what follows
	last    uint32
	pending map[uint32]*step
	lost    bool
}

func dial(cfg Config, settle func(*step, packet.Response)) (*device, error) {
	d := &device{settle: settle, gone: make(chan struct{}), pending: map[uint32]*step{}, offers: map[packet.Op]bool{}}
	err := cfg.Gate.Pass(func() error {
		channel, requests, err := cfg.Device()
		if err != nil {
			return err
		}
		d.channel = channel
		d.drained.Go(func() { ssh.DiscardRequests(requests) })
		granted, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
		if err == nil && !granted {
			err = errors.New("the device refused the sftp subsystem")
		}
		if err == nil {
			_, err = channel.Write(packet.AppendInit(nil))
		}
		return err
	})
	if d.channel == nil {
		return nil, err
	}
	// What the device's server says on standard error goes nowhere, so it needs no record.
	d.drained.Go(func() { _, _ = io.Copy(io.Discard, d.channel.Stderr()) })
	if err == nil {
		d.from = bufio.NewReaderSize(d.channel, 32<<10)
		err = d.greet(cfg.Gate)
	}
	if err != nil {
		_ = d.channel.Close()
		d.drained.Wait()
		return nil, err
	}
	d.drained.Go(d.listen)
	return d, nil
}

// greet hears what the device offers, and how much it takes at once. The question passes
// the gate as the first word did.
func (d *device) greet(gate Gate) error {
	if first, err := d.from.Peek(1); err != nil || first[0] != 0 { // of a packet's length
		return cmp.Or(err, errTalks)
	}
	body, err := packet.Read(d.from, nil)
	if err != nil {
		return err
	}
	version, offered, err := packet.ParseVersion(body)
	if err != nil {
		return err
	}
	if version != packet.Version {
		return errors.New("the device speaks another version of sftp")
	}
	for _, e := range offered {
		if op := packet.Extended(e.Name); op.Extension() == e {
			d.offers[op] = true
		}
	}
	if !d.offers[packet.Limits] {
		return nil
	}
	err = gate.Pass(func() error {
		_, err := d.channel.Write(packet.Request{Op: packet.Limits}.Append(nil, 0))
		return err
	})
	if err != nil {
		return err
	}
	if body, err = packet.Read(d.from, body); err != nil {
		return err
	}
	_, a, err := packet.ParseResponse(body)
	if err == nil && a.Kind == packet.ExtendedReply {
		d.capacity, err = packet.ParseCapacity(a)
	}
	return err
}

// can reports whether the device knows an operation.
func (d *device) can(op packet.Op) bool {
	return mannerOf(op) != manner{} && (op.Extension().Name == "" || d.offers[op])
}

// send asks the device. When it fails, settle is not called.
func (d *device) send(s *step) error {
	d.sending.Lock()
	defer d.sending.Unlock()
	d.mu.Lock()
	if d.lost {
		d.mu.Unlock()
		return errLost
	}
	d.last++
	id := d.last
	d.pending[id] = s
	d.mu.Unlock()
	r := s.Request
	if s.file != nil {
		r.Handle = s.file.handle
	}
	if s.into != nil {
		r.Into = s.into.handle
	}
	d.out = r.Append(d.out[:0], id)
	if _, err := d.channel.Write(d.out); err != nil {
		d.hangup() // and listen says that it is lost
	}
	return nil
}

// listen hands out the answers until the device is gone or breaks the protocol.
func (d *device) listen() {
	defer close(d.gone)
	var body []byte
	for {
		var err error
		if body, err = packet.Read(d.from, body); err != nil {
			break
		}
		id, a, err := packet.ParseResponse(body)
		s := d.claim(id)
		if err != nil || s == nil {
			if s != nil {
				d.settle(s, packet.Says(packet.ConnectionLost))
			}
			break
		}
		d.settle(s, a)
	}
	d.hangup()
	d.mu.Lock()
	d.lost = true
	left := d.pending
	d.pending = nil
	d.mu.Unlock()
	for _, s := range left {
		d.settle(s, packet.Says(packet.ConnectionLost))
	}
}

func (d *device) claim(id uint32) *step {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.pending[id]
	delete(d.pending, id)
	return s
}

func (d *device) hangup() { _ = d.channel.Close() }

func (d *device) close() {
	d.hangup()
	d.drained.Wait()
}
