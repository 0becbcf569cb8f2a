package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session/durable"
)

// tree is the Merkle tree: full tiles on disk, the right edge in memory.
type tree struct {
	dir  string                            // where full tiles are written; a copy's is empty
	read func(name string) ([]byte, error) // a full tile's file
	size int64
	tail [][]byte // entries after the last full bundle
	edge [][]byte // by tile level: hashes of the tile that is not full yet
	due  []tile   // became full and are not on the disk yet: the journal has their entries

	mu    sync.Mutex // guards cache: readers share the tree
	cache map[string][]byte
}

// tile is a full tile's file.
type tile struct {
	name string
	data []byte
}

// openTree reads the right edge of a tree of size entries, a multiple of 256, from
// its full tiles.
func openTree(dir string, size int64) (*tree, error) {
	read := func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) }
	return readTree(&tree{dir: dir, read: read, size: size})
}

// readTree finds the right edge.
func readTree(t *tree) (*tree, error) {
	size := t.size
	t.edge, t.cache = [][]byte{nil}, map[string][]byte{}
	full := size / width // full tiles of the level below
	for level := 1; full > 0; level++ {
		var hashes []byte
		for n := full / width * width; n < full; n++ {
			data, err := t.tile(level-1, n)
			if err != nil {
				return nil, err
			}
			h := perfect(data)
			hashes = append(hashes, h[:]...)
		}
		t.edge = append(t.edge, hashes)
		full /= width
	}
	return t, nil
}

// perfect is the root over the hashes of a full tile.
func perfect(data []byte) tlog.Hash {
	if len(data) == tlog.HashSize {
		return tlog.Hash(data)
	}
	return tlog.NodeHash(perfect(data[:len(data)/2]), perfect(data[len(data)/2:]))
}

// add takes an entry that the journal has. Tiles that become full are due.
func (t *tree) add(entry []byte) {
	t.tail = append(t.tail, entry)
	leaf := tlog.RecordHash(entry)
	t.edge[0] = append(t.edge[0], leaf[:]...)
	t.size++
	if len(t.tail) < width {
		return
	}
	n := t.size/width - 1
	t.due = append(t.due, tile{tilePath("entries", n, 0), bundle(t.tail)})
	for level := 0; len(t.edge[level]) == width*tlog.HashSize; level++ {
		t.due = append(t.due, tile{tilePath(strconv.Itoa(level), n, 0), t.edge[level]})
		if level+1 == len(t.edge) {
			t.edge = append(t.edge, nil)
		}
		root := perfect(t.edge[level])
		t.edge[level] = nil
		t.edge[level+1] = append(t.edge[level+1], root[:]...)
		n /= width
	}
	t.tail = nil
}

// settle writes a full tile for good. One that is there already must be the same.
func (t *tree) settle(full tile, write func(string, []byte) error) error {
	path := filepath.Join(t.dir, full.name)
	old, err := os.ReadFile(path)
	if err == nil && string(old) != string(full.data) {
		return fmt.Errorf("%w: %s holds others", ErrLost, full.name)
	}
	if err == nil {
		return durable.SyncDir(filepath.Dir(path)) // the try before may have come no further
	}
	if err := durable.MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := write(path, full.data); err != nil {
		return err
	}
	return os.RemoveAll(path + ".p")
}

// writePartials writes the tiles at the right edge, for whoever reads the directory.
// Nothing of ours depends on them.
func (t *tree) writePartials() ([]string, error) {
	var names []string
	put := func(name string, data []byte) error {
		names = append(names, name)
		full := filepath.Join(t.dir, name)
		return errors.Join(durable.MakeDir(filepath.Dir(full)), durable.Show(full, data))
	}
	if n := len(t.tail); n > 0 {
		if err := put(tilePath("entries", t.size/width, n), bundle(t.tail)); err != nil {
			return nil, err
		}
	}
	n := t.size
	for level, hashes := range t.edge {
		n /= width
		if len(hashes) == 0 {
			continue
		}
		if err := put(tilePath(strconv.Itoa(level), n, len(hashes)/tlog.HashSize), hashes); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// removePartials removes those that no checkpoint needs any more.
func (t *tree) removePartials(old, needed []string) {
	keep := map[string]bool{}
	for _, name := range needed {
		keep[name] = true
	}
	for _, name := range old {
		if !keep[name] {
			_ = os.Remove(filepath.Join(t.dir, name))
		}
	}
}

// ReadHashes finds stored hashes: tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		place := tlog.TileForIndex(height, index)
		data, err := t.tile(place.L, place.N)
		if err != nil {
			return nil, err
		}
		if out[i], err = tlog.HashFromTile(place, data, index); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tile is a tile's hashes: all 256, or those there are of the last one.
func (t *tree) tile(level int, n int64) ([]byte, error) {
	full := t.size
	for range level + 1 {
		full /= width
	}
	if n < full {
		return t.file(tilePath(strconv.Itoa(level), n, 0), width*tlog.HashSize)
	}
	if n > full || level >= len(t.edge) {
		return nil, fmt.Errorf("the audit log has no tile %d of level %d", n, level)
	}
	return t.edge[level], nil
}

// file reads a full tile, from memory where it was read lately. size -1: any.
func (t *tree) file(name string, size int) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if data, ok := t.cache[name]; ok {
		return data, nil
	}
	if i := slices.IndexFunc(t.due, func(f tile) bool { return f.name == name }); i >= 0 {
		return t.due[i].data, nil
	}
	data, err := t.read(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLost, err)
	}
	if size >= 0 && len(data) != size {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrLost, name, len(data))
	}
	for other := range t.cache {
		if len(t.cache) < cacheSize {
			break
		}
		delete(t.cache, other)
	}
	t.cache[name] = data
	return data, nil
}

func (t *tree) entries(from, to int64) ([][]byte, error) {
	from, to = max(from, 0), min(to, t.size)
	if from >= to {
		return nil, nil
	}
	n := from / width
	to = min(to, (n+1)*width)
	all := t.tail
	if n < t.size/width {
		data, err := t.file(tilePath("entries", n, 0), -1)
		if err != nil {
			return nil, err
		}
		if all, err = unbundle(data); err != nil || len(all) != width {
			return nil, errors.Join(fmt.Errorf("%w: bundle %d cannot be read", ErrLost, n), err)
		}
	}
	return all[from-n*width : to-n*width], nil
}

// prove proves an entry against a checkpoint of this tree.
func (t *tree) prove(index int64, note []byte, c witness.Checkpoint) (witness.Inclusion, error) {
	if index < 0 || index >= c.Size {
		return witness.Inclusion{}, os.ErrNotExist
	}
	hashes, err := tlog.ProveRecord(c.Size, index, t)
	if err != nil {
		return witness.Inclusion{}, fmt.Errorf("prove entry %d of the audit log: %w", index, err)
	}
	entry, err := t.entries(index, index+1)
	if err != nil {
		return witness.Inclusion{}, err
	}
	if tlog.CheckRecord(hashes, c.Size, c.Root, index, tlog.RecordHash(entry[0])) != nil {
		return witness.Inclusion{}, fmt.Errorf("%w: entry %d is another", ErrLost, index)
	}
	return witness.Inclusion{Index: index, Entry: entry[0], Hashes: hashes, Checkpoint: note}, nil
}

func (t *tree) leaves(from, to int64) ([]byte, error) {
	from, to = max(from, 0), min(to, t.size)
	var out []byte
	for from < to {
		n := from / width
		data, err := t.tile(0, n)
		if err != nil {
			return nil, err
		}
		end := min(to, (n+1)*width)
		out = append(out, data[(from-n*width)*tlog.HashSize:(end-n*width)*tlog.HashSize]...)
		from = end
	}
	return out, nil
}

// bundle is entries as C2SP tlog-tiles stores them.
func bundle(entries [][]byte) []byte {
	var b []byte
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(b, uint16(len(e)))
		b = append(b, e...)
	}
	return b
}

func unbundle(b []byte) ([][]byte, error) {
	var entries [][]byte
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, errors.New("a bundle of entries is cut off")
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		entries = append(entries, b[2:n:n])
		b = b[n:]
	}
	return entries, nil
}

// tilePath names a tile as c2sp.org/tlog-tiles does: tile/0/x001/234, and with a
// width 1 to 255 tile/0/x001/234.p/17.
func tilePath(level string, n int64, partial int) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	name = strings.Join([]string{"tile", level, name}, "/")
	if partial > 0 {
		name += ".p/" + strconv.Itoa(partial)
	}
	return name
}
