package stories

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// inGo is the errand of Go's clients: x/crypto's ssh and pkg/sftp.
func (e *errand) inGo(t *testing.T) ([]byte, int) {
	t.Helper()
	vars := map[string]string{}
	for _, line := range e.environment() {
		name, value, _ := strings.Cut(line, "=")
		vars[name] = value
	}
	raw, err := os.ReadFile(vars["KEY"])
	must(t, err)
	signer, err := ssh.ParsePrivateKey(raw)
	must(t, err)
	known, err := knownhosts.New(vars["KNOWN"])
	must(t, err)
	config := func(user string) *ssh.ClientConfig {
		return &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: known,
			HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: patience}
	}
	addr := vars["HOST"] + ":" + vars["PORT"]
	var device *ssh.Client
	if vars["DOOR_HOST"] == "" {
		device, err = ssh.Dial("tcp", addr, config(vars["LOGIN"]))
		must(t, err)
	} else {
		door, err := ssh.Dial("tcp", vars["DOOR_HOST"]+":"+vars["DOOR_PORT"], config("sallyport"))
		must(t, err)
		defer door.Close()
		line, err := door.Dial("tcp", addr)
		must(t, err)
		conn, channels, requests, err := ssh.NewClientConn(line, addr, config(vars["LOGIN"]))
		must(t, err)
		device = ssh.NewClient(conn, channels, requests)
	}
	defer device.Close()
	files, err := sftp.NewClient(device, sftp.UseConcurrentWrites(true), sftp.MaxConcurrentRequestsPerFile(64), sftp.MaxPacketUnchecked(3001))
	must(t, err)
	defer files.Close()
	g := &gopher{e: e, c: files, far: func(name string) string { return path.Join(vars["FAR"], name) }}
	g.write(vars["ORDERED"] != "")
	g.paths()
	g.names(vars["MANY"])
	return g.said.Bytes(), 0
}

// gopher works by pkg/sftp, and notes what came of it.
type gopher struct {
	e    *errand
	c    *sftp.Client
	far  func(string) string
	said bytes.Buffer
}

func (g *gopher) act(name string, do func() (any, error)) {
	got, err := do()
	var status *sftp.StatusError
	if errors.As(err, &status) { // what a server says beside the code is its own
		err = status.FxCode()
	}
	fmt.Fprintln(&g.said, name, got, err)
}

// put writes content from some offset on, without waiting between the pieces.
func (g *gopher) put(name string, flags, from int, to ...func(*sftp.File) error) (any, error) {
	f, err := g.c.OpenFile(g.far(name), flags)
	if err != nil {
		return nil, err
	}
	if _, err = f.Seek(int64(from), io.SeekStart); err == nil {
		_, err = f.ReadFromWithConcurrency(bytes.NewReader(g.e.h.firmware[from:]), 64)
	}
	for _, then := range to {
		if err == nil {
			err = then(f)
		}
	}
	return nil, errors.Join(err, f.Close())
}

func (g *gopher) head(name string) (any, error) {
	f, err := g.c.Create(g.far(name))
	if err != nil {
		return nil, err
	}
	_, err = f.Write(g.e.h.firmware[:len(g.e.h.firmware)/3])
	return nil, errors.Join(err, f.Close())
}

func (g *gopher) write(ordered bool) {
	third := len(g.e.h.firmware) / 3
	g.act("put", func() (any, error) { return g.put("whole-put", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0) })
	g.act("head", func() (any, error) { return g.head("whole-appended") })
	g.act("append", func() (any, error) { return g.put("whole-appended", os.O_WRONLY|os.O_APPEND, third) })
	g.act("head", func() (any, error) { return g.head("whole-resumed") })
	g.act("resume", func() (any, error) { return g.put("whole-resumed", os.O_WRONLY, third) })
	g.act("get", func() (any, error) {
		f, err := g.c.Open(g.far("whole-put"))
		if err != nil {
			return nil, err
		}
		to, err := os.Create(filepath.Join(g.e.near, "whole-got"))
		if err == nil {
			_, err = f.WriteTo(to)
			err = errors.Join(err, to.Close())
		}
		return nil, errors.Join(err, f.Close())
	})
	if !ordered {
		return
	}
	g.act("write, then cut", func() (any, error) {
		return g.put("cut", os.O_WRONLY|os.O_CREATE, 0, func(f *sftp.File) error { return f.Truncate(12345) })
	})
	g.act("overlap", func() (any, error) {
		f, err := g.c.Create(g.far("whole-overlap"))
		if err != nil {
			return nil, err
		}
		const step = 3001
		for i := 0; i < len(g.e.h.firmware) && err == nil; i += step {
			// Two writers of the same bytes; whoever comes second must not be cut by the first.
			var both sync.WaitGroup
			end := min(i+2*step, len(g.e.h.firmware))
			errs := make([]error, 2)
			for n, piece := range [][]byte{g.e.h.firmware[i:end], g.e.h.firmware[i:min(i+step, end)]} {
				both.Go(func() { _, errs[n] = f.WriteAt(piece, int64(i)) })
			}
			both.Wait()
			err = errors.Join(errs...)
		}
		return nil, errors.Join(err, f.Close())
	})
}

func (g *gopher) paths() {
	g.act("cut an open file that was renamed", func() (any, error) {
		f, err := g.c.OpenFile(g.far("first"), os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		_, err = f.Write([]byte("the first file"))
		err = errors.Join(err, g.c.Rename(g.far("first"), g.far("moved")))
		another, oerr := g.c.Create(g.far("first"))
		if oerr != nil {
			return nil, oerr
		}
		_, werr := another.Write([]byte("another"))
		return nil, errors.Join(err, werr, another.Close(), f.Truncate(3), f.Close())
	})
	g.act("soft", func() (any, error) { return nil, g.c.Symlink("whole-put", g.far("link")) })
	g.act("says", func() (any, error) { return g.c.ReadLink(g.far("link")) })
	g.act("hard", func() (any, error) { return nil, g.c.Link(g.far("whole-put"), g.far("whole-hard")) })
	g.act("space", func() (any, error) {
		v, err := g.c.StatVFS(g.far("."))
		if err != nil {
			return nil, err
		}
		return v.Bsize, nil
	})
	g.act("rename", func() (any, error) { return nil, g.c.PosixRename(g.far("whole-resumed"), g.far("whole-renamed")) })
	g.act("onto another", func() (any, error) { return nil, g.c.Rename(g.far("first"), g.far("whole-renamed")) })
	g.act("mode", func() (any, error) { return nil, g.c.Chmod(g.far("whole-renamed"), 0o640) })
	then := time.Unix(981173106, 0)
	g.act("times", func() (any, error) { return nil, g.c.Chtimes(g.far("whole-renamed"), then, then) })
	g.act("missing", func() (any, error) { return g.c.Stat(g.far("nothing")) })
}

func (g *gopher) names(many string) {
	g.act("mkdir", func() (any, error) { return nil, g.c.Mkdir(g.far("names")) })
	for _, name := range oddNames {
		g.act(fmt.Sprintf("%q", name), func() (any, error) {
			f, err := g.c.Create(g.far("names/" + name))
			if err != nil {
				return nil, err
			}
			_, err = f.Write([]byte(name))
			return nil, errors.Join(err, f.Close())
		})
	}
	list := func(dir string) (any, error) {
		all, err := g.c.ReadDir(dir)
		var names []string
		for _, info := range all {
			names = append(names, fmt.Sprintf("%q %v %d", info.Name(), info.Mode(), info.Size()))
		}
		slices.Sort(names)
		return fmt.Sprint(len(names), " ", digest([]byte(strings.Join(names, "\n")))), err
	}
	g.act("list", func() (any, error) { return list(g.far("names")) })
	g.act("full", func() (any, error) { return nil, g.c.RemoveDirectory(g.far("names")) })
	g.act("many", func() (any, error) { return list(many) })
}
