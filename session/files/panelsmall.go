package files

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path"
	"slices"
	"time"

	"github.com/pkg/sftp"

	"github.com/sallyport/sallyport/session"
)

const (
	maxEntries = 5000    // of one directory
	maxName    = 1 << 10 // bytes of a name in a listing
)

// entryView is one entry of a listing, as the browser gets it.
type entryView struct {
	Name     string    `json:"name"`
	Dir      bool      `json:"dir"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Mode     string    `json:"mode"` // rwxr-x---
	Link     bool      `json:"link,omitempty"`
	Unusable bool      `json:"unusable,omitempty"`
}

func viewOf(info os.FileInfo) entryView {
	name := info.Name()
	v := entryView{
		Name: shown(name), Dir: info.IsDir(), Size: max(0, min(info.Size(), maxSize)), Modified: info.ModTime().UTC(),
		Mode: info.Mode().Perm().String()[1:], Link: info.Mode()&os.ModeSymlink != 0, Unusable: !usable(name),
	}
	if len(name) > maxName {
		v.Name, v.Unusable = shown(name[:maxName])+"…", true
	}
	return v
}

// list answers page by page, because a message is small; the last page is returned.
func (p *Panel) list(c *sftp.Client, o *op) (answer, error) {
	folder := o.Path
	if folder == "" {
		folder = "."
	}
	at, err := c.RealPath(folder)
	if err != nil {
		return answer{}, p.explain(c, o, err)
	}
	if shown(at) != at || len(at) > maxPath {
		return answer{}, session.Errorf(session.Refused, "The folder has a name that cannot be shown.").WithNext("Use sftp for this one.")
	}
	infos, err := c.ReadDir(at)
	if err != nil {
		return answer{}, p.explain(c, o, err)
	}
	slices.SortStableFunc(infos, func(x, y os.FileInfo) int { return cmp.Compare(x.Name(), y.Name()) })
	cut := len(infos) > maxEntries
	infos = infos[:min(len(infos), maxEntries)]
	room := maxMessage - 256 - len(encode(at))
	page, used := []json.RawMessage{}, 0
	for _, info := range infos {
		entry := encode(viewOf(info))
		if used+len(entry)+1 > room && len(page) > 0 {
			if err := p.room(); err != nil {
				return answer{}, err
			}
			p.answer(listingView{ID: o.ID, OK: true, Path: at, Entries: page, More: true})
			page, used = []json.RawMessage{}, 0
		}
		page, used = append(page, entry), used+len(entry)+1
		if o.isCancelled() {
			return answer{}, errStopped
		}
	}
	return answer{page: &listingView{OK: true, Path: at, Entries: page, Cut: cut}}, nil
}

func (p *Panel) mkdir(c *sftp.Client, o *op) error { return p.explain(c, o, c.Mkdir(o.Path)) }

// remove removes a file, a link or an empty folder. What is not granted is asked for
// all the same, so that the record has it.
func (p *Panel) remove(c *sftp.Client, o *op) error {
	info, err := c.Lstat(o.Path)
	switch {
	case err != nil && !errors.Is(err, os.ErrPermission):
	case err == nil && info.IsDir():
		err = c.RemoveDirectory(o.Path)
		if isFailure(err) && p.cfg.In {
			return session.Errorf(session.Refused, "The device did not remove the folder and gives no reason; most often it is not empty.").
				WithNext("Remove what is in it first.")
		}
	default:
		err = c.Remove(o.Path)
	}
	return p.explain(c, o, err)
}

func (p *Panel) rename(c *sftp.Client, o *op) error {
	err := c.Rename(o.Path, o.To)
	if isFailure(err) && p.cfg.In {
		if _, there := c.Lstat(o.To); there == nil {
			return taken(o.To)
		}
	}
	return p.explain(c, o, err)
}

func taken(name string) error {
	return &session.Error{Kind: session.Refused, Message: "There is something of the name " + short(name) + " already.",
		Next: "Choose another name, or replace it on purpose."}
}

// short is the last part of a path, fit for a sentence.
func short(name string) string {
	name = shown(path.Base(name))
	if r := []rune(name); len(r) > 80 {
		name = string(r[:80]) + "…"
	}
	return "“" + name + "”"
}
