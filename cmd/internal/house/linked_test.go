package house

import (
	"bufio"
	"bytes"
	"fmt"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// budgets is how many modules, ours left out, each binary may link on linux/amd64.
// Hospital IT reads the agent's list before it lets the agent in: a module more is
// a decision, made here. Both link x/mod for notes and trees of the audit log. Nine
// of the agent's are charmbracelet/x/ansi and ultraviolet, which read control sequences
// and styles, and what they need: who comes back to a terminal in the browser must see
// it. They read what a device sends, in session/terminal/mirror and nowhere else. The broker links
// go-mail, and x/text for it: MIME and SMTP with its logins are not written twice.
var budgets = map[string]struct {
	from []string
	max  int
}{
	"agent": {from: []string{"agent", "cmd/sallyport-agent"}, max: 28},
	// One is coder/websocket, for the browser's terminal: nothing else of what
	// the broker links upgrades a connection, and it links nothing further itself.
	"broker": {from: []string{"broker", "cmd/sallyport-broker"}, max: 24},
}

// stages are the worlds of demo and tests.
var stages = []string{"cmd/internal/world", "cmd/internal/devidp", "cmd/internal/simulator"}

// strangers must not be linked into what runs in production, by however many steps.
var strangers = map[string][]string{
	"agent":  append([]string{"broker", "recordings/vault", "cmd/sallyport", "cmd/sallyport-broker"}, stages...),
	"broker": append(append([]string{"agent", "cmd/sallyport", "cmd/sallyport-agent"}, stages...), unread...),
}

// linker follows imports from our packages into the module cache.
type linker struct {
	root     string
	modcache string
	versions map[string]string // by module path
	context  build.Context
	seen     map[string]bool // import paths, ours with the module's
	modules  map[string][]string
}

func newLinker(t *testing.T, root string) *linker {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	l := &linker{root: root, versions: required(text), context: build.Default, seen: map[string]bool{}, modules: map[string][]string{}}
	l.context.GOOS, l.context.GOARCH, l.context.CgoEnabled = "linux", "amd64", false
	if l.modcache = os.Getenv("GOMODCACHE"); l.modcache == "" {
		l.modcache = filepath.Join(filepath.SplitList(build.Default.GOPATH)[0], "pkg", "mod")
	}
	return l
}

// required reads the module versions of a go.mod.
func required(text []byte) map[string]string {
	versions := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require "))
		if len(f) >= 2 && strings.HasPrefix(f[1], "v") {
			versions[f[0]] = f[1]
		}
	}
	return versions
}

// module finds the module that an import path is of.
func (l *linker) module(importPath string) string {
	for p := importPath; p != "."; p = path.Dir(p) {
		if _, ok := l.versions[p]; ok {
			return p
		}
	}
	return ""
}

// escape is how the module cache spells a path: capitals as ! and a small letter.
func escape(p string) string {
	var b strings.Builder
	for _, r := range p {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// follow adds a package and all that it links.
func (l *linker) follow(importPath, by string) error {
	first, _, _ := strings.Cut(importPath, "/")
	if l.seen[importPath] || !strings.Contains(first, ".") || importPath == "C" {
		return nil
	}
	l.seen[importPath] = true
	var dir string
	if sub, ok := strings.CutPrefix(importPath, module+"/"); ok {
		dir = filepath.Join(l.root, filepath.FromSlash(sub))
	} else {
		m := l.module(importPath)
		if m == "" {
			return fmt.Errorf("%s imports %s, which no module of go.mod has", by, importPath)
		}
		l.modules[m] = append(l.modules[m], by)
		dir = filepath.Join(l.modcache, filepath.FromSlash(escape(m)+"@"+escape(l.versions[m])), strings.TrimPrefix(importPath, m))
	}
	imports, err := l.imports(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", importPath, err)
	}
	for _, i := range imports {
		if err := l.follow(i, importPath); err != nil {
			return err
		}
	}
	return nil
}

// imports lists what the files of a directory import in a build for our platform.
func (l *linker) imports(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no source in %s: %w", dir, errOr(err, fs.ErrNotExist))
	}
	var all []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		ok, err := l.context.MatchFile(dir, filepath.Base(name))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		var mine []string
		for _, spec := range f.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			mine = append(mine, p)
		}
		if !slices.Contains(mine, "C") { // there is no cgo
			all = append(all, mine...)
		}
	}
	return all, nil
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// link follows everything that a binary is made of.
func link(t *testing.T, tr *tree, root string, from []string) *linker {
	t.Helper()
	l := newLinker(t, root)
	for _, pkg := range tr.packages() {
		if within(pkg, from...) && slices.ContainsFunc(tr.product(), func(f *source) bool { return f.dir == pkg }) {
			if err := l.follow(module+"/"+pkg, "house"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(l.seen) == 0 {
		t.Fatalf("nothing below %v", from)
	}
	return l
}

func TestModuleBudget(t *testing.T) {
	top := root(t)
	tr := ours(t)
	for name, b := range budgets {
		l := link(t, tr, top, b.from)
		if len(l.modules) > b.max {
			t.Errorf("%s links %d modules, its budget is %d", name, len(l.modules), b.max)
			for m, by := range l.modules {
				t.Errorf("  %s by %s", m, by[0])
			}
		}
		for _, s := range strangers[name] {
			for p := range l.seen {
				if sub, ok := strings.CutPrefix(p, module+"/"); ok && within(sub, s) {
					t.Errorf("%s links %s, which is a stranger there", name, sub)
				}
			}
		}
		t.Logf("%s links %d modules of at most %d", name, len(l.modules), b.max)
	}
}

func TestLinkerFollows(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module "+module+"\nrequire example.com/Big/two v1.2.3\nrequire (\n\texample.com/one v0.1.0 // indirect\n)\n")
	write("agent/a.go", "package agent\nimport (\n\"fmt\"\n\"example.com/one/sub\"\n\""+module+"/session\"\n)\n")
	write("agent/a_test.go", "package agent\nimport \"example.com/only/tests\"\n")
	write("agent/a_windows.go", "package agent\nimport \"example.com/only/windows\"\n")
	write("agent/a_tag.go", "//go:build other\n\npackage agent\nimport \"example.com/only/tag\"\n")
	write("agent/a_cgo.go", "package agent\nimport \"C\"\nimport \"example.com/only/cgo\"\n")
	write("session/s.go", "package session\n")
	write("cache/example.com/one@v0.1.0/sub/s.go", "package sub\nimport \"example.com/Big/two\"\n")
	write("cache/example.com/!big/two@v1.2.3/t.go", "package two\nimport \"example.com/one/sub\"\n")
	t.Setenv("GOMODCACHE", filepath.Join(dir, "cache"))
	l := link(t, grow(t, os.DirFS(dir)), dir, []string{"agent"})
	if len(l.modules) != 2 || len(l.seen) != 4 {
		t.Errorf("modules %v, packages %v", l.modules, l.seen)
	}
	write("agent/b.go", "package agent\nimport \"example.com/nowhere\"\n")
	if err := newLinker(t, dir).follow(module+"/agent", "test"); err == nil {
		t.Error("an import of no module was followed")
	}
}
