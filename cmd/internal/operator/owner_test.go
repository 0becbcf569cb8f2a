//go:build unix

package operator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

func TestRootMakesNoDirectoryThatTheServiceCannotRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "state")
	if err := AsOwner(missing, "no-such-user-here"); err != nil {
		t.Errorf("where the unit has no user: %v", err)
	}
	err := AsOwner(missing, "daemon")
	if os.Geteuid() != 0 {
		if err != nil {
			t.Errorf("somebody other than root: %v", err)
		}
		return
	}
	if session.KindOf(err) != session.Invalid {
		t.Fatalf("root and a missing directory: %v", err)
	}
	if told := told(err); !strings.Contains(told, "install -d -m 0700 -o daemon -g daemon "+missing) {
		t.Errorf("the way out is not said: %s", told)
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("the directory was made: %v", err)
	}
}

func told(err error) string {
	var b strings.Builder
	complain(&b, err, false)
	return b.String()
}
