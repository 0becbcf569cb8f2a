package files

import (
	"cmp"
	"encoding/json"
	"os"
	"path"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
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

func viewOf(e packet.Entry) entryView {
	mode := e.Attrs.FileMode()
	v := entryView{
		Name: written(e.Name), Dir: mode.IsDir(), Size: sizeOf(e.Attrs), Modified: time.Unix(int64(e.Attrs.Mtime), 0).UTC(),
		Mode: mode.Perm().String()[1:], Link: mode&os.ModeSymlink != 0, Unusable: !usable(e.Name),
	}
	if len(e.Name) > maxName {
		v.Name = written(e.Name[:maxName]) + "…"
	}
	return v
}

// sizeOf is a size that JavaScript counts exactly.
func sizeOf(a packet.Attrs) int64 { return int64(min(a.Size, maxSize)) }

// list answers page by page, because a message is small; the last page is returned.
func (p *Panel) list(d *Operations, o *op) (answer, error) {
	folder := o.Path
	if folder == "" {
		folder = "."
	}
	found := d.Ask(packet.Request{Op: packet.Realpath, Path: folder})
	if found.Kind != packet.Name {
		return answer{}, p.explain(d, o, found.Code)
	}
	at := found.Names[0].Name
	shown := written(at)
	room := maxMessage - 256 - len(encode(shown))
	if room < maxMessage/2 {
		return answer{}, session.Errorf(session.Refused, "The folder's path is too long to be shown here.").WithNext("Use sftp for this one.")
	}
	entries, cut, code := readDir(d, at)
	if code != packet.OK {
		return answer{}, p.explain(d, o, code)
	}
	page, used := []json.RawMessage{}, 0
	for _, e := range entries {
		entry := encode(viewOf(e))
		if used+len(entry)+1 > room && len(page) > 0 {
			if err := p.room(); err != nil {
				return answer{}, err
			}
			p.answer(listingView{ID: o.ID, OK: true, Path: shown, Entries: page, More: true})
			page, used = []json.RawMessage{}, 0
		}
		page, used = append(page, entry), used+len(entry)+1
		if o.isCancelled() {
			return answer{}, errStopped
		}
	}
	return answer{page: &listingView{OK: true, Path: shown, Entries: page, Cut: cut}}, nil
}

// readDir reads a directory, sorted by name; cut says that it holds more than a browser
// is shown, and that the rest was not asked for.
func readDir(d *Operations, path string) (all []packet.Entry, cut bool, code packet.Code) {
	opened := d.Ask(packet.Request{Op: packet.Opendir, Path: path})
	if opened.Kind != packet.Handle {
		return nil, false, opened.Code
	}
	for len(all) <= maxEntries {
		a := d.Ask(packet.Request{Op: packet.Readdir, Handle: opened.Handle})
		if a.Kind != packet.Name {
			code = a.Code
			break
		}
		for _, e := range a.Names {
			if e.Name != "." && e.Name != ".." && len(all) <= maxEntries {
				all = append(all, packet.Entry{Name: e.Name, Attrs: e.Attrs})
			}
		}
	}
	d.Ask(packet.Request{Op: packet.Close, Handle: opened.Handle})
	if code != packet.OK && code != packet.EOF {
		return nil, false, code
	}
	slices.SortStableFunc(all, func(x, y packet.Entry) int { return cmp.Compare(x.Name, y.Name) })
	return all[:min(len(all), maxEntries)], len(all) > maxEntries, packet.OK
}

func (p *Panel) mkdir(d *Operations, o *op) error {
	return p.explain(d, o, d.Ask(packet.Request{Op: packet.Mkdir, Path: o.Path}).Code)
}

// remove removes a file, a link or an empty folder. What is not granted is asked for
// all the same, so that the record has it.
func (p *Panel) remove(d *Operations, o *op) error {
	is := d.Ask(packet.Request{Op: packet.Lstat, Path: o.Path})
	if is.Kind == packet.Attributes && is.Attrs.FileMode().IsDir() {
		code := d.Ask(packet.Request{Op: packet.Rmdir, Path: o.Path}).Code
		if code == packet.Failure && p.cfg.In {
			return session.Errorf(session.Refused, "The device did not remove the folder and gives no reason; most often it is not empty.").
				WithNext("Remove what is in it first.")
		}
		return p.explain(d, o, code)
	}
	code := is.Code
	if code == packet.OK || code == packet.PermissionDenied {
		code = d.Ask(packet.Request{Op: packet.Remove, Path: o.Path}).Code
	}
	return p.explain(d, o, code)
}

func (p *Panel) rename(d *Operations, o *op) error {
	code := d.Ask(packet.Request{Op: packet.Rename, Path: o.Path, Target: o.To}).Code
	if code == packet.Failure && p.cfg.In && there(d, o.To) {
		return taken(o.To)
	}
	return p.explain(d, o, code)
}

func there(d *Operations, name string) bool {
	return d.Ask(packet.Request{Op: packet.Lstat, Path: name}).Kind == packet.Attributes
}

func taken(name string) error {
	return &session.Error{Kind: session.Refused, Message: "There is something of the name " + short(name) + " already.",
		Next: "Choose another name, or replace it on purpose."}
}

// short is the last part of a path, fit for a sentence.
func short(name string) string {
	name = written(path.Base(name))
	if r := []rune(name); len(r) > 80 {
		name = string(r[:80]) + "…"
	}
	return "“" + name + "”"
}
