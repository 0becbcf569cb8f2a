package house

import (
	"strconv"
	"strings"
	"testing"
)

// floorVersions are what we require ourselves, whatever our dependencies ask for,
// and what was wrong below.
var floorVersions = map[string]struct{ least, why string }{
	"golang.org/x/crypto":           {"v0.52.0", "thirteen advisories of ssh; gliderlabs asks for 0.31 only"},
	"github.com/go-jose/go-jose/v4": {"v4.1.4", "unbounded parsing of tokens"},
	"github.com/redis/go-redis/v9":  {"v9.7.3", "replies out of order"},
}

func TestVersionsAreNewEnough(t *testing.T) {
	have := required(ours(t).texts["go.mod"])
	for m, want := range floorVersions {
		if got, ok := have[m]; !ok || older(got, want.least) {
			t.Errorf("go.mod has %s %s, at least %s is needed: %s", m, got, want.least, want.why)
		}
	}
	for _, c := range []struct {
		a, b  string
		older bool
	}{{"v0.51.9", "v0.52.0", true}, {"v0.52.0", "v0.52.0", false}, {"v0.100.0", "v0.52.0", false}, {"v9.7.2", "v9.7.3", true}, {"v10.0.0", "v9.7.3", false}, {"v0.52.0-rc1", "v0.52.0", true}} {
		if older(c.a, c.b) != c.older {
			t.Errorf("older(%s, %s) is %v", c.a, c.b, !c.older)
		}
	}
}

// older compares two release versions; a pre-release is older than its release.
func older(a, b string) bool {
	releaseA, preA, _ := strings.Cut(strings.TrimPrefix(a, "v"), "-")
	releaseB, _, _ := strings.Cut(strings.TrimPrefix(b, "v"), "-")
	as, bs := strings.Split(releaseA, "."), strings.Split(releaseB, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return preA != ""
}
