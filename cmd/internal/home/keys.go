package home

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// Key is the ssh key of one request, without its private half.
type Key struct {
	Request  string    `json:"request"` // R-...
	Site     string    `json:"site"`
	Asset    string    `json:"asset"`
	Services []string  `json:"services"`
	Created  time.Time `json:"created"`
	NotAfter time.Time `json:"not_after"` // nothing opens with it afterwards
	Path     string    `json:"-"`         // absolute path of the private key
}

// NewKey draws the key of a request and keeps it. It returns the public line.
func (h Home) NewKey(k Key) (line string, err error) {
	line, keep, err := h.DraftKey(k)
	if err == nil {
		err = keep()
	}
	if err != nil {
		return "", err
	}
	return line, nil
}

// DraftKey draws a key of a request. Nothing is on disk before keep is called, which
// puts it in place of the one that this machine had for the request.
func (h Home) DraftKey(k Key) (line string, keep func() error, err error) {
	if _, err := session.ParseRequestID(k.Request); err != nil {
		return "", nil, err
	}
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", nil, fmt.Errorf("make a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, k.Request)
	if err != nil {
		return "", nil, fmt.Errorf("encode the key: %w", err)
	}
	return session.KeyLine(pub), func() error {
		// The description goes first: a private key that nothing describes would never be pruned.
		if err := h.writeJSON(filepath.Join("keys", k.Request+".json"), k); err != nil {
			return err
		}
		err := h.Write(filepath.Join("keys", k.Request+".key"), pem.EncodeToMemory(block))
		if err != nil {
			_ = h.DropKey(k.Request)
		}
		return err
	}, nil
}

// PrivateKey reads the key of a request.
func (h Home) PrivateKey(request string) (crypto.Signer, error) {
	if _, err := session.ParseRequestID(request); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(h.Path("keys", request+".key"))
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", request, err)
	}
	key, err := ssh.ParseRawPrivateKey(raw)
	if private, ok := key.(*ed25519.PrivateKey); ok && err == nil {
		return *private, nil
	}
	return nil, session.Errorf(session.Invalid, "The key of %s cannot be read", request).WithNext("Join again from here: sallyport activate " + request)
}

// DropKey removes the key of a request; a missing one is fine.
func (h Home) DropKey(request string) error {
	if _, err := session.ParseRequestID(request); err != nil {
		return err
	}
	for _, ext := range []string{".key", ".json"} {
		if err := os.Remove(h.Path("keys", request+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Keys lists the keys that are there, newest first. Files that are not ours or do
// not parse are left alone.
func (h Home) Keys() ([]Key, error) {
	entries, err := os.ReadDir(h.Path("keys"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, e := range entries {
		request, ok := strings.CutSuffix(e.Name(), ".json")
		if _, err := session.ParseRequestID(request); !ok || err != nil {
			continue
		}
		var k Key
		path := h.Path("keys", request+".key")
		if _, err := os.Stat(path); err != nil || h.read(filepath.Join("keys", e.Name()), &k) != nil || k.Request != request {
			continue
		}
		k.Path = path
		keys = append(keys, k)
	}
	sort.SliceStable(keys, func(i, j int) bool { return keys[i].Created.After(keys[j].Created) })
	return keys, nil
}
