package spool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// disk is a small one on which recordings are written.
type disk struct {
	*testing.T
	quota      *spool.Quota
	dir        string
	free, size uint64
	uses       map[string]*spool.Use
	segments   map[string]uint32
}

func newDisk(t *testing.T, size uint64) *disk {
	d := &disk{T: t, dir: t.TempDir(), free: size, size: size, uses: map[string]*spool.Use{}, segments: map[string]uint32{}}
	d.quota = spool.NewQuota(d.dir)
	d.quota.Space(func(string) (free, total uint64, err error) { return d.free, d.size, nil })
	return d
}

// write records n bytes more of somebody, and says why it could not.
func (d *disk) write(who string, n int) error {
	d.Helper()
	id := strings.ReplaceAll(who, "/", "-")
	u := d.uses[id]
	if u == nil {
		vendor, sub, _ := strings.Cut(who, "/")
		sub, _, _ = strings.Cut(sub, "#")
		var err error
		if u, err = d.quota.Begin(id, session.Identity{Iss: vendor, Sub: sub}); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(d.dir, id), 0o700); err != nil {
			d.Fatal(err)
		}
		d.uses[id] = u
	}
	if err := u.Over(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.dir, id, recordings.SegmentPart(d.segments[id])), make([]byte, n), 0o600); err != nil {
		d.Fatal(err)
	}
	d.segments[id]++
	d.free -= uint64(n)
	u.Part()
	return u.Over()
}

// flood writes until somebody's share is taken, and returns how much of the disk that was.
func (d *disk) flood(who string) (uint64, error) {
	before := d.free
	for {
		if err := d.write(who, 10_000); err != nil {
			return before - d.free, err
		}
	}
}

// Whoever floods the spool ends their own session, and others go on recording and begin
// to; room for seals is there in any case.
func TestOnesShareOfTheSpoolLeavesOthersTheirs(t *testing.T) {
	const size = 3_200_000
	for _, row := range []struct {
		attack  string
		flood   []string // vendor/engineer#session
		most    uint64   // of the disk
		refused string
		others  []string
	}{
		{"one session's output", []string{"vendor/eva#1"}, size / 2, "vendor/eva#2", []string{"vendor/ed", "north/eva"}},
		{"four sessions of one engineer", []string{"vendor/eva#1", "vendor/eva#2", "vendor/eva#3", "vendor/eva#4"}, size / 2, "vendor/eva#5", []string{"vendor/ed", "north/eva"}},
		{"six engineers of one vendor", []string{"vendor/a", "vendor/b", "vendor/c", "vendor/d", "vendor/e", "vendor/f"}, size * 2 / 3, "vendor/a#2", []string{"north/eva"}},
	} {
		t.Run(row.attack, func(t *testing.T) {
			d := newDisk(t, size)
			if err := d.write(row.others[0]+"#before", 10_000); err != nil {
				t.Fatal(err)
			}
			var taken uint64
			for _, who := range row.flood {
				n, err := d.flood(who)
				taken += n
				refused(t, err)
			}
			refused(t, d.write(row.refused, 1))
			if taken > row.most {
				t.Errorf("%d of %d bytes are taken", taken, size)
			}
			for i, who := range append([]string{row.others[0] + "#before"}, row.others...) {
				if err := d.write(who, 10_000); err != nil {
					t.Errorf("%s, %d: %v", who, i, err)
				}
			}
			// What the broker has makes room again.
			for _, who := range row.flood {
				id := strings.ReplaceAll(who, "/", "-")
				if err := os.RemoveAll(filepath.Join(d.dir, id)); err != nil {
					t.Fatal(err)
				}
			}
			d.free += taken
			if err := d.write(row.refused+"-again", 10_000); err != nil {
				t.Errorf("after the upload: %v", err)
			}
			t.Logf("ATTACK | %s fill an agent's spool | %d %% of the disk | %d %% | holds", row.attack, row.most*100/size, taken*100/size)
		})
	}
}

// A restart forgives nobody what their recordings take: what an agent finds counts for
// whoever made it, as long as it is there.
func TestOnesShareOfTheSpoolOutlivesARestart(t *testing.T) {
	const size = 3_200_000
	s := newSite(t)
	eva := session.Identity{Iss: "vendor", Sub: "eva"}
	w, id := s.beginFor(eva, nil)
	if err := w.Close(session.Completed); err != nil {
		t.Fatal(err)
	}
	// What a crash left open counts as well, and so does what stands beside the segments.
	if err := os.WriteFile(filepath.Join(s.dir, id, "open"), make([]byte, size/2), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "V-nobody"), 0o700); err != nil {
		t.Fatal(err)
	}
	quota := spool.NewQuota(s.dir)
	quota.Space(func(string) (free, total uint64, err error) { return size / 2, size, nil })
	_, err := quota.Begin("again", eva)
	refused(t, err)
	for _, other := range []session.Identity{{Iss: "vendor", Sub: "ed"}, {Iss: "north", Sub: "eva"}} {
		if _, err := quota.Begin("other", other); err != nil {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(s.dir, id)); err != nil {
		t.Fatal(err)
	}
	if _, err := quota.Begin("after", eva); err != nil {
		t.Errorf("after the upload: %v", err)
	}
	t.Logf("ATTACK | an engineer who filled half of the spool comes back after the agent's restart | refused | %v | holds", err != nil)
}

func refused(t *testing.T, err error) {
	t.Helper()
	if e, ok := err.(*session.Error); !ok || e.Kind != session.Refused || e.Next == "" || !strings.HasSuffix(e.Message, ".") {
		t.Errorf("not refused in one plain sentence: %v", err)
	}
}

// A disk that fills for any reason keeps room for the seals of what runs, and nothing
// begins that would take it.
func TestSealsHaveRoomOnAFullDisk(t *testing.T) {
	const size = 3_200_000
	d := newDisk(t, size)
	for i := range 20 {
		if err := d.write(fmt.Sprintf("v%d/eva", i), 1000); err != nil {
			t.Fatal(err)
		}
	}
	d.free = size*2/32 - 1 // somebody else's files
	refused(t, d.write("new/eva", 1))
	if err := d.write("v1/eva", 1000); err != nil {
		t.Errorf("what runs goes on: %v", err)
	}
	d.free = size/32 - 1
	refused(t, d.write("v2/eva", 1))
	d.quota.Space(func(string) (free, total uint64, err error) { return 0, 0, os.ErrInvalid })
	if err := d.write("v3/eva", 1); err != nil {
		t.Errorf("where nobody knows, the disk itself decides: %v", err)
	}
}
