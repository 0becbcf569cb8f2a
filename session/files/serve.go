package files

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

const (
	maxOpen    = 128      // open files and directories of one client
	maxPath    = 4 << 10  // bytes of a path
	maxListing = 32 << 20 // bytes of one directory's listing
)

// Gate decides whether something of the engineer may go to the device now; see
// session/terminal.
type Gate interface {
	Pass(send func() error) error
}

// Config says what one transfer channel may do and where its record goes.
type Config struct {
	Recorder session.Recorder
	Gate     Gate
	Stream   uint32        // the channel's number within the recording
	Next     func() uint32 // numbers for files
	In, Out  bool          // towards the device, from the device
	// Refused puts on record what the engineer's client asked for and did not get.
	Refused func(what, detail string)
	// Device opens one session channel on the device's connection.
	Device func() (ssh.Channel, <-chan *ssh.Request, error)
}

// Serve answers sftp on the engineer's channel until the client is done or either
// side is gone. The device is asked on a channel of its own.
func Serve(engineer io.ReadWriteCloser, cfg Config) error {
	far, err := dial(cfg)
	if err != nil {
		return &session.Error{Kind: session.Refused, Message: "The device offers no sftp.",
			Next: "Ask the hospital whether its SSH server has the sftp subsystem.", Err: err}
	}
	defer far.close()
	home, err := far.client.RealPath(".")
	if err != nil || len(home) > maxPath {
		home = "/"
	}
	h := &handlers{cfg: cfg, far: far}
	server := sftp.NewRequestServer(engineer, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithStartDirectory(home))
	err = server.Serve()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// remote is the device's sftp server.
type remote struct {
	client  *sftp.Client
	channel ssh.Channel
	in      atomic.Int64 // bytes that came from the device
	out     atomic.Int64 // of these, content that was asked for
	cut     atomic.Pointer[listing]
	drained sync.WaitGroup
}

// listing is a directory being read, and how to stop it.
type listing struct {
	limit int64
	stop  context.CancelFunc
}

func dial(cfg Config) (*remote, error) {
	far := &remote{}
	var granted bool
	err := cfg.Gate.Pass(func() error {
		channel, requests, err := cfg.Device()
		if err != nil {
			return err
		}
		far.channel = channel
		far.drained.Go(func() { ssh.DiscardRequests(requests) })
		granted, err = channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
		return err
	})
	if far.channel == nil {
		return nil, err
	}
	// What the device's server says on standard error goes nowhere, so it needs no record.
	far.drained.Go(func() { _, _ = io.Copy(io.Discard, far.channel.Stderr()) })
	if err == nil && granted {
		far.client, err = sftp.NewClientPipe(countingReader{far.channel, far}, far.channel)
	}
	if far.client == nil {
		_ = far.channel.Close()
		far.drained.Wait()
		return nil, errors.Join(errors.New("the device did not start sftp"), err)
	}
	return far, nil
}

func (far *remote) close() {
	_ = far.client.Close()
	far.drained.Wait()
}

// readDir lists a directory, as long as the device does not send it without end.
func (far *remote) readDir(path string) (entries []entry, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	far.cut.Store(&listing{limit: far.in.Load() - far.out.Load() + maxListing, stop: cancel})
	defer far.cut.Store(nil)
	infos, err := far.client.ReadDirContext(ctx, path)
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		entries = append(entries, entry{info})
	}
	return entries, nil
}

// countingReader counts what comes from the device and stops a listing that is too long.
type countingReader struct {
	io.Reader
	far *remote
}

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	in := c.far.in.Add(int64(n))
	if l := c.far.cut.Load(); l != nil && in-c.far.out.Load() > l.limit {
		l.stop()
	}
	return n, err
}
