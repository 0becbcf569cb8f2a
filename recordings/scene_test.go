package recordings_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// scene is a hospital's agent with a place to record.
type scene struct {
	t      testing.TB
	key    ed25519.PrivateKey
	input  *age.X25519Identity
	dir    string
	header recordings.Header
}

func newScene(t testing.TB) *scene {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	input, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, key: key, input: input}
	s.dir = filepath.Join(t.TempDir(), "rec")
	s.header = header()
	s.header.Agent = session.Fingerprint(s.public())
	return s
}

// header is a session header without its agent.
func header() recordings.Header {
	return recordings.Header{
		Recording: session.NewID().Recording(), Session: session.NewID().Session(), Request: session.NewID().Request(),
		GrantHash: strings.Repeat("ab", 32), Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Protocol: session.SSH,
		Engineer: session.Person{Identity: session.Identity{Iss: "https://idp.helion.example", Sub: "e1"}, Email: "eva@helion.example"},
		Started:  time.Date(2026, 11, 23, 8, 0, 0, 123456000, time.UTC),
	}
}

func (s *scene) public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func (s *scene) options() recordings.Options {
	return recordings.Options{Signer: s.key, InputRecipient: s.input.Recipient().String()}
}

func (s *scene) trust() []session.Trust {
	return []session.Trust{{V: 1, Site: "NGH", Agent: "ngh-1", Identity: session.KeyLine(s.public())}}
}

func (s *scene) create(change func(*recordings.Options)) *recordings.Writer {
	s.t.Helper()
	o := s.options()
	if change != nil {
		change(&o)
	}
	w, err := recordings.Create(s.dir, s.header, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

func (s *scene) record(w *recordings.Writer, events ...session.Event) {
	s.t.Helper()
	for _, e := range events {
		if err := w.Record(e); err != nil {
			s.t.Fatal(err)
		}
	}
}

// await waits until a part is closed.
func (s *scene) await(name string) {
	s.t.Helper()
	open := filepath.Join(s.dir, strings.Replace(name, "seg-", "open-", 1)) // goes a moment later
	for range 1000 {
		_, err := os.Stat(filepath.Join(s.dir, name))
		if _, still := os.Stat(open); err == nil && errors.Is(still, fs.ErrNotExist) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatalf("%s is never closed", name)
}

func (s *scene) close(w *recordings.Writer) {
	s.t.Helper()
	if err := w.Close(session.Completed); err != nil {
		s.t.Fatal(err)
	}
}

// part reads one part from disk.
func (s *scene) part(name string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// parts lists the closed parts on disk, in order.
func (s *scene) parts() []string {
	s.t.Helper()
	segments, err := filepath.Glob(filepath.Join(s.dir, "seg-*"))
	if err != nil {
		s.t.Fatal(err)
	}
	names := []string{recordings.HeaderPart}
	for _, n := range append(segments, recordings.SealPart) {
		if _, err := os.Stat(filepath.Join(s.dir, filepath.Base(n))); err == nil {
			names = append(names, filepath.Base(n))
		}
	}
	return names
}

func (s *scene) openPart(name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(s.dir, name))
}

func (s *scene) partSize(name string) (int64, error) {
	info, err := os.Stat(filepath.Join(s.dir, name))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// file is the single-file form.
func (s *scene) file() []byte {
	s.t.Helper()
	v, err := recordings.TakeInventory(s.openPart, s.partSize)
	if err != nil {
		s.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := v.Assemble(&b, s.openPart); err != nil {
		s.t.Fatal(err)
	}
	if int64(b.Len()) != v.Size {
		s.t.Fatalf("%d bytes assembled, %d announced", b.Len(), v.Size)
	}
	return b.Bytes()
}

func (s *scene) verify(file []byte) recordings.Result {
	return recordings.Verify(bytes.NewReader(file), int64(len(file)), s.trust())
}

// events reads a file back; unlocked with the input identity when there is one.
func (s *scene) events(file []byte, identity age.Identity) ([]session.Event, error) {
	s.t.Helper()
	r, err := recordings.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if identity != nil {
		if err := r.Unlock(identity); err != nil {
			return nil, err
		}
	}
	return drain(r)
}

func drain(r *recordings.Reader) ([]session.Event, error) {
	var all []session.Event
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
}

func output(data string) session.Event {
	return session.Event{Kind: session.Output, Stream: 1, Data: []byte(data)}
}

func typed(data string) session.Event {
	return session.Event{Kind: session.Input, Stream: 1, Data: []byte(data)}
}

// small is a sealed recording of three segments, with a head after every event.
func small(t testing.TB) *scene {
	t.Helper()
	s := newScene(t)
	heads := make(chan witness.Head, 1)
	w := s.create(func(o *recordings.Options) {
		o.SegmentBytes, o.HeadEvery = 610, time.Nanosecond
		o.OnHead = func(h witness.Head) { heads <- h }
	})
	for _, e := range []session.Event{
		{Kind: session.ChannelOpened, Stream: 1, Data: []byte(`{"type":"shell","term":"xterm","cols":80,"rows":24}`)},
		typed("evlog -n 3\r"), output("08:00 tube ok\r\n08:01 gantry ok\r\n"),
		output(strings.Repeat("logging out ", 20)), {Kind: session.ChannelClosed, Stream: 1},
	} {
		s.record(w, e)
		<-heads
	}
	s.close(w)
	return s
}
