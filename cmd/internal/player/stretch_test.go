package player

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay/screen"
)

// A day is a sound recording, and shows at any moment what the screen showed then. With
// SALLYPORT_DAY it stands afterwards in the place of the recording in that directory of a
// vault, under its name, so that a broker shows it: for what is measured in a browser.
// SALLYPORT_DAY_LONG says how long it is; what was seen goes to SALLYPORT_DAY_SEEN.
func TestADayIsARecording(t *testing.T) {
	head, long, looks := dayHeader(), 2*time.Minute, 20
	place := os.Getenv("SALLYPORT_DAY")
	if place != "" {
		old, err := recordings.Follow(place)
		must(t, err)
		head = old.Header()
		must(t, old.Close())
		head.Agent, looks = "", 400 // another key signs
		long, err = time.ParseDuration(os.Getenv("SALLYPORT_DAY_LONG"))
		must(t, err)
	}
	dir := filepath.Join(t.TempDir(), "rec")
	var seen []look
	synctest.Test(t, func(t *testing.T) { seen = recordDay(t, dir, head, long, pace{30, 4}, looks) })
	if len(seen) != looks {
		t.Errorf("%d of %d moments were looked at", len(seen), looks)
	}
	file, size := assembled(t, dir)
	if v := recordings.Verify(file, size, nil); v.Result != recordings.VerdictUnpinned {
		t.Errorf("%+v", v)
	}
	r, err := recordings.Open(file, size)
	must(t, err)
	defer r.Close()
	show := screen.Open(r)
	for _, l := range seen[:20] {
		must(t, show.Jump(l.At))
		if is := fmt.Sprintf("%x", sha256.Sum256(canvas(nil, show.Pix))); is != l.SHA256 {
			t.Errorf("at %d is %s, was %s", l.At, is, l.SHA256)
		}
	}
	if place == "" {
		return
	}
	replace(t, place, dir)
	b, err := json.Marshal(seen)
	must(t, err)
	must(t, os.WriteFile(os.Getenv("SALLYPORT_DAY_SEEN"), b, 0o600))
	n, err := r.Length()
	must(t, err)
	fmt.Printf("DAY | %s | %d segments | %d bytes\n", long, n.Segments, size)
}

// replace puts the parts of one recording in the place of another's.
func replace(t *testing.T, place, by string) {
	t.Helper()
	for _, dir := range []string{place, by} {
		all, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range all {
			switch {
			case !recordings.ValidPart(e.Name()):
			case dir == place:
				must(t, os.Remove(filepath.Join(place, e.Name())))
			default:
				b, err := os.ReadFile(filepath.Join(by, e.Name()))
				must(t, err)
				must(t, os.WriteFile(filepath.Join(place, e.Name()), b, 0o600))
			}
		}
	}
	if !strings.HasPrefix(filepath.Base(place), "V-") {
		t.Errorf("%s is no recording of a vault", place)
	}
}
