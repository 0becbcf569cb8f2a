package house

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// rules are all that hold for every file.
var rules = []struct {
	name  string
	check func(*tree) []finding
}{
	{"imports point down", ascends},
	{"walls stand", breaches},
	{"the ground floor uses the standard library", foreign},
	{"no programs are started", children},
	{"devices are reached in one room", reached},
	{"names say something", badNames},
	{"the top is fixed", topLevel},
	{"packages are explained", undocumented},
	{"contexts are arguments", keptContexts},
	{"nothing happens by itself", inits},
	{"no package-level state", globals},
	{"things have a size", sizes},
	{"bounds stand in limits.go", strayBounds},
	{"no test is skipped", skips},
	{"nothing is left for later", unfinished},
}

func TestHouse(t *testing.T) {
	tr := ours(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.check(tr) {
				t.Error(f)
			}
		})
	}
}

// plan is a tree in a test; names ending in .go get a package clause when they lack one.
type plan map[string]string

func (p plan) build(t *testing.T) *tree {
	t.Helper()
	fsys := fstest.MapFS{"session/doc.go": {Data: []byte("// Package session is the ground.\npackage session\n")}}
	for name, text := range p {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return grow(t, fsys)
}

func use(pkg string, imports ...string) string {
	var b strings.Builder
	b.WriteString("// Package " + pkg + " is a room.\npackage " + pkg + "\n")
	for _, i := range imports {
		b.WriteString("import _ \"" + i + "\"\n")
	}
	return b.String()
}

func our(p string) string { return module + "/" + p }

// Every rule fires on a small tree that breaks it and names the place.
func TestRulesFire(t *testing.T) {
	long := strings.Repeat("\n", maxFile)
	tried := map[string]bool{}
	for name, c := range map[string]struct {
		rule string
		plan plan
		want string
	}{
		"up a floor":                 {"imports point down", plan{"broker/store/s.go": use("store", our("broker/access")), "broker/access/a.go": use("access")}, "broker/store imports broker/access"},
		"along a floor":              {"imports point down", plan{"agent/ledger/l.go": use("ledger", our("agent/spool"))}, "agent/ledger imports agent/spool"},
		"a door into the hall":       {"imports point down", plan{"broker/api/a.go": use("api", our("broker"))}, "broker/api imports broker"},
		"grant into link":            {"imports point down", plan{"session/grant/g.go": use("grant", our("session/link"))}, "session/grant imports session/link"},
		"idtoken into grant":         {"imports point down", plan{"session/idtoken/i.go": use("idtoken", our("session/grant"))}, "session/idtoken imports session/grant"},
		"a room nobody planned":      {"imports point down", plan{"broker/shed/s.go": use("shed")}, "broker/shed stands on no floor"},
		"a floor nobody planned":     {"imports point down", plan{"cellar/c.go": use("cellar")}, "cellar stands on no floor"},
		"ground on first floor":      {"walls stand", plan{"session/s.go": use("session", our("recordings"))}, "session imports recordings"},
		"recordings on agent":        {"walls stand", plan{"recordings/r.go": use("recordings", our("agent/ledger"))}, "recordings imports agent/ledger"},
		"recordings on broker":       {"walls stand", plan{"recordings/cast/r.go": use("cast", our("broker/store"))}, "recordings/cast imports broker/store"},
		"recordings on a protocol":   {"walls stand", plan{"recordings/r.go": use("recordings", our("session/terminal"))}, "recordings imports session/terminal"},
		"agent on broker":            {"walls stand", plan{"agent/a.go": use("agent", our("broker/api"))}, "agent imports broker/api"},
		"broker on agent":            {"walls stand", plan{"broker/b.go": use("broker", our("agent"))}, "broker imports agent"},
		"even in a test":             {"walls stand", plan{"broker/b_test.go": use("broker", our("agent/ledger"))}, "b_test.go"},
		"broker on a protocol":       {"walls stand", plan{"broker/web/w.go": use("web", our("session/vnc"))}, "broker/web imports session/vnc"},
		"its command on a protocol":  {"walls stand", plan{"cmd/sallyport-broker/m.go": use("main", our("session/files"))}, "imports session/files"},
		"engine on a protocol":       {"walls stand", plan{"agent/engine/e.go": use("engine", our("session/terminal"))}, "agent/engine imports session/terminal"},
		"engine on ssh":              {"walls stand", plan{"agent/engine/e_test.go": use("engine", "golang.org/x/crypto/ssh")}, "agent/engine imports golang.org/x/crypto/ssh"},
		"engine on a line":           {"walls stand", plan{"agent/engine/e.go": use("engine", our("agent/engine/shell"))}, "agent/engine imports agent/engine/shell"},
		"agent on the vault":         {"walls stand", plan{"agent/spool/s.go": use("spool", our("recordings/vault"))}, "agent/spool imports recordings/vault"},
		"its command on the vault":   {"walls stand", plan{"cmd/sallyport-agent/m.go": use("main", our("recordings/vault/s3"))}, "imports recordings/vault/s3"},
		"broker on a new shared one": {"walls stand", plan{"broker/b.go": use("broker", our("session/printer"))}, "broker imports session/printer"},
		"plumbing to plumbing":       {"imports point down", plan{"session/wording/w.go": use("wording", our("session/durable"))}, "session/wording imports session/durable"},
		"ground on plumbing":         {"imports point down", plan{"session/s.go": use("session", our("session/wording"))}, "session imports session/wording"},
		"plumbing not standard":      {"the ground floor uses the standard library", plan{"session/durable/d.go": use("durable", "golang.org/x/sys/unix")}, "session/durable imports golang.org/x/sys/unix"},
		"hanging from the roof":      {"walls stand", plan{"session/link/l.go": use("link", our("cmd/internal/world"))}, "session/link imports cmd/internal/world"},
		"ground not standard":        {"the ground floor uses the standard library", plan{"session/s.go": use("session", "golang.org/x/crypto/ssh")}, "session imports golang.org/x/crypto/ssh"},
		"exec in the agent":          {"no programs are started", plan{"agent/device/d.go": use("device", "os/exec")}, "agent/device imports os/exec"},
		"exec in the broker":         {"no programs are started", plan{"broker/b.go": use("broker", "os/exec")}, "broker imports os/exec"},
		"exec below both":            {"no programs are started", plan{"session/terminal/t.go": use("terminal", "os/exec")}, "session/terminal imports os/exec"},
		"exec in an agent's main":    {"no programs are started", plan{"cmd/sallyport-agent/m.go": use("main", "os/exec")}, "cmd/sallyport-agent imports os/exec"},
		"exec by another name":       {"no programs are started", plan{"agent/a.go": "package agent\nimport sys \"syscall\"\nfunc f() { sys.ForkExec(\"\", nil, nil) }\n"}, "uses sys.ForkExec"},
		"os.StartProcess":            {"no programs are started", plan{"broker/b.go": "package broker\nimport \"os\"\nvar f = os.StartProcess\n"}, "uses os.StartProcess"},
		"a line that dials":          {"devices are reached in one room", plan{"agent/engine/shell/s.go": "package shell\nimport gossh \"golang.org/x/crypto/ssh\"\nvar f = gossh.NewClient\n"}, "agent/engine/shell uses gossh.NewClient"},
		"a line with a client":       {"devices are reached in one room", plan{"agent/engine/shell/s.go": "package shell\nimport \"golang.org/x/crypto/ssh\"\ntype t struct { c *ssh.Client }\n"}, "uses ssh.Client"},
		"a protocol that dials":      {"devices are reached in one room", plan{"session/vnc/v.go": "package vnc\nimport \"net\"\nvar d net.Dialer\n"}, "session/vnc uses net.Dialer"},
		"a directory called util":    {"names say something", plan{"broker/util/u.go": use("strings2")}, "is called util"},
		"a package called types":     {"names say something", plan{"broker/nouns/u.go": use("types")}, "package types"},
		"and its tests":              {"names say something", plan{"broker/nouns/u_test.go": use("helpers_test")}, "package helpers"},
		"a name at the top":          {"the top is fixed", plan{"pkg/p.go": use("pkg")}, "pkg: stands at the top"},
		"a file at the top":          {"the top is fixed", plan{"NOTICE": "x"}, "NOTICE: stands at the top"},
		"no package comment":         {"packages are explained", plan{"broker/b.go": "package broker\n"}, `begins "Package broker "`},
		"another package's comment":  {"packages are explained", plan{"broker/b.go": "// Package agent is a room.\npackage broker\n"}, `begins "Package broker "`},
		"a comment in a test":        {"packages are explained", plan{"broker/b.go": "package broker\n", "broker/b_test.go": use("broker")}, "broker: has no comment"},
		"a command without comment":  {"packages are explained", plan{"cmd/sallyport/m.go": "// main\npackage main\n"}, `begins "Command sallyport "`},
		"a context in a struct":      {"contexts are arguments", plan{"agent/a.go": "package agent\nimport \"context\"\ntype t struct { ctx context.Context }\n"}, "agent/a.go:3"},
		"embedded":                   {"contexts are arguments", plan{"agent/a.go": "package agent\nimport \"context\"\ntype t struct { context.Context }\n"}, "agent/a.go:3"},
		"renamed, in a map":          {"contexts are arguments", plan{"agent/a.go": "package agent\nimport c \"context\"\ntype t struct { m map[string]*c.Context }\n"}, "agent/a.go:3"},
		"in a local struct":          {"contexts are arguments", plan{"agent/a.go": "package agent\nimport \"context\"\nfunc f() { var x struct { c context.Context }; _ = x }\n"}, "agent/a.go:3"},
		"init":                       {"nothing happens by itself", plan{"agent/a.go": "package agent\nfunc init() {}\n"}, "func init"},
		"a counter":                  {"no package-level state", plan{"agent/a.go": "package agent\nvar n int\n"}, "var n"},
		"a map":                      {"no package-level state", plan{"agent/a.go": "package agent\nvar m = map[string]int{}\n"}, "var m"},
		"a function":                 {"no package-level state", plan{"agent/a.go": "package agent\nvar now = time.Now\n"}, "var now"},
		"the second of two":          {"no package-level state", plan{"agent/a.go": "package agent\nimport \"errors\"\nvar a, b = errors.New(\"\"), 2\n"}, "var b"},
		"a long file":                {"things have a size", plan{"agent/a.go": "package agent\n" + long}, "701 lines"},
		"a long function":            {"things have a size", plan{"agent/a.go": "package agent\nfunc f() {" + strings.Repeat("\n", maxFunc) + "}\n"}, "func f has 121 lines"},
		"a wide interface":           {"things have a size", plan{"agent/a.go": "package agent\ntype i interface { A(); B(); C(); D(); E() }\n"}, "interface i has 5 methods"},
		"a wide struct":              {"things have a size", plan{"agent/a.go": "package agent\ntype s struct { a, b, c, d, e, f, g, h int; i, j, k, l, m, n, o, p, q string }\n"}, "struct s has 17 fields"},
		"a wide embedding":           {"things have a size", plan{"agent/a.go": "package agent\ntype i interface { A(); B(); C(); io.Reader; io.Writer }\n"}, "interface i has 5 methods"},
		"a bound elsewhere":          {"bounds stand in limits.go", plan{"agent/ledger/l.go": "package ledger\nconst maxEntries = 4\n"}, "agent/ledger/l.go:2: the bound maxEntries"},
		"an exported one":            {"bounds stand in limits.go", plan{"agent/ledger/l.go": "package ledger\nconst (\n\tname = \"x\"\n\tMaxEntries = 4\n)\n"}, "the bound MaxEntries"},
		"a time":                     {"bounds stand in limits.go", plan{"agent/ledger/l.go": "package ledger\nimport \"time\"\nconst pause = 2 * time.Second\n"}, "the bound pause"},
		"a skipped test":             {"no test is skipped", plan{"agent/a_test.go": "package agent\nfunc f(t T) { t.Skip() }\n"}, "t.Skip"},
		"for a reason":               {"no test is skipped", plan{"agent/a_test.go": "package agent\nfunc f(t T) { t.Skipf(\"no sshd\") }\n"}, "t.Skipf"},
		"at once":                    {"no test is skipped", plan{"agent/a_test.go": "package agent\nfunc f(x T) { x.SkipNow() }\n"}, "x.SkipNow"},
		"in a script":                {"no test is skipped", plan{"cmd/testdata/a.txtar": "# story\n[!exec:ssh] skip 'no ssh'\n"}, "a.txtar:2"},
		"plainly in a script":        {"no test is skipped", plan{"cmd/testdata/script/a.txtar": "skip\n"}, "a.txtar:1"},
		"a note to ourselves":        {"nothing is left for later", plan{"agent/a.go": "package agent\n// TO" + "DO: check\n"}, "agent/a.go:2"},
		"in a Makefile":              {"nothing is left for later", plan{"Makefile": "# FIX" + "ME\n"}, "Makefile:1"},
	} {
		t.Run(name, func(t *testing.T) {
			tried[c.rule] = true
			tr := c.plan.build(t)
			for _, r := range rules {
				if r.name != c.rule {
					continue
				}
				got := r.check(tr)
				if !slices.ContainsFunc(got, func(f finding) bool { return strings.Contains(f.String(), c.want) }) {
					t.Errorf("%q found %v, want %q", r.name, got, c.want)
				}
			}
		})
	}
	for _, r := range rules {
		if !tried[r.name] {
			t.Errorf("no broken tree for %q", r.name)
		}
	}
}

// A house that is built as designed breaks no rule.
func TestRulesDoNotFireForNothing(t *testing.T) {
	p := plan{
		"go.mod": "module x\n", "Makefile": "all:\n", ".github/x.yml": "a: b\n",
		"session/idtoken/i.go":          use("idtoken", our("session"), "github.com/coreos/go-oidc/v3/oidc"),
		"session/grant/g.go":            use("grant", our("session"), our("session/idtoken")),
		"session/s_test.go":             use("session_test", "pgregory.net/rapid"),
		"session/durable/d.go":          use("durable", our("session"), "os"),
		"session/durable/d_test.go":     use("durable_test", "os/exec", "pgregory.net/rapid"),
		"recordings/d.go":               use("recordings", our("session/durable")),
		"broker/d.go":                   use("broker", our("session/durable")),
		"session/screen/s.go":           use("screen", our("session")),
		"session/vnc/v.go":              use("vnc", our("session/screen")),
		"recordings/r.go":               use("recordings", our("recordings/witness"), our("session")),
		"recordings/witness/w.go":       use("witness", our("session")),
		"recordings/vault/v.go":         use("vault", our("recordings")),
		"broker/store/s.go":             use("store", our("session")),
		"broker/store/storetest/s.go":   use("storetest", our("broker/store")),
		"broker/access/a.go":            use("access", our("broker/store"), our("session/grant"), our("session/link")),
		"broker/api/a.go":               use("api", our("broker/access"), our("broker/fleet")),
		"broker/fleet/f.go":             use("fleet", our("session/link"), our("recordings/vault")),
		"broker/b.go":                   use("broker", our("broker/api")),
		"broker/b_test.go":              use("broker", "os/exec"),
		"agent/ledger/l.go":             use("ledger", our("session/grant"), our("session/idtoken")),
		"agent/engine/e.go":             use("engine", our("agent/ledger"), our("session/attach"), our("recordings")),
		"agent/device/d.go":             "// Package device is a room.\npackage device\nimport (\"net\"; \"golang.org/x/crypto/ssh\")\nfunc f(d net.Dialer) (ssh.Conn, error) { return ssh.Dial(\"\", \"\", nil) }\n",
		"agent/engine/screen/s.go":      use("screen", our("agent/engine"), our("session/vnc")),
		"agent/a.go":                    use("agent", our("agent/engine")),
		"cmd/internal/devidp/d.go":      use("devidp"),
		"cmd/internal/world/w.go":       use("world", our("cmd/internal/devidp"), "os/exec"),
		"cmd/sallyport/m.go":            "// Command sallyport is for people.\npackage main\nimport _ \"" + our("cmd/internal/world") + "\"\nvar version = \"dev\"\n",
		"cmd/sallyport-agent/m.go":      "// Command sallyport-agent is for hospitals.\npackage main\nimport _ \"" + our("agent") + "\"\n",
		"agent/engine/kept.go":          "package engine\nimport (\"context\"; \"errors\"; \"regexp\"; \"embed\")\nvar errA, errB = errors.New(\"a\"), errors.New(\"b\")\nvar re = regexp.MustCompile(\"a\")\nvar _ = 1\n//go:embed x\nvar files embed.FS\ntype f func(context.Context)\ntype r struct { do func(context.Context) error }\nfunc (r) init() {}\n",
		"agent/wide.go":                 "package agent\ntype fooConfig struct { a, b, c, d, e, f, g, h int; i, j, k, l, m, n, o, p, q string }\n",
		"agent/engine/limits.go":        "package engine\nimport \"time\"\nconst (\n\tmaxWait = 2 * time.Second\n\tmaxDepth = 3\n)\n",
		"agent/engine/words.go":         "package engine\nconst (\n\tmaximal = \"x\"\n\tmaxWord = \"y\"\n\tthird = iota\n)\nfunc g() { const maxHere = 3; _ = maxHere }\n",
		"agent/engine/gen.go":           "// Code generated by x. DO NOT EDIT.\n\npackage engine\nvar n int\n" + strings.Repeat("\n", 2*maxFile),
		"agent/engine/k_test.go":        "package engine\nimport \"context\"\nvar n int\ntype t struct { ctx context.Context }\nfunc f() { skip(); fs.SkipDir() }\n",
		"agent/engine/testdata/a.txtar": "# skip nothing\nexec ssh\n-- notes.txt --\nskip\n",
		"agent/engine/testdata/x.go":    "this is not Go",
		"bin/x/y.go":                    "package TO" + "DO\n",
	}
	tr := p.build(t)
	for _, r := range rules {
		for _, f := range r.check(tr) {
			if !strings.HasPrefix(f.where, "bin") {
				t.Errorf("%s: %v", r.name, f)
			}
		}
	}
}
