package device

import "testing"

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		list   Environment
		name   string
		passes bool
	}{
		{nil, "LANG", true}, {nil, "LC_ALL", true}, {nil, "LC_", true}, {nil, "TZ", true}, {nil, "COLORTERM", true},
		{nil, "LANGUAGE", false}, {nil, "PATH", false}, {nil, "lang", false}, {nil, "", false}, {nil, "LC", false},
		{Environment{}, "LANG", false}, {Environment{"TEAM"}, "TEAM", true}, {Environment{"TEAM"}, "LANG", false}, {Environment{"TEAM_*"}, "TEAM_ID", true},
	} {
		if got := c.list.has(c.name); got != c.passes {
			t.Errorf("%q passes %s: %v", c.list, c.name, got)
		}
	}
	for _, bad := range []Environment{{"*"}, {""}, {"LD_*"}, {"L*"}, {"PATH"}, {"BASH_ENV"}, {"A B"}, {"A=B"}, {"PYTHON*"}, make(Environment, maxVariables+1)} {
		if bad.valid() {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, good := range []Environment{nil, {}, usualEnvironment(), {"TEAM_*", "x1"}} {
		if !good.valid() {
			t.Errorf("%q was refused", good)
		}
	}
}
