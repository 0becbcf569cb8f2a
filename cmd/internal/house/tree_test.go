package house

import (
	"bytes"
	"fmt"
	"go/ast"
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
)

// module is our module path; import paths below are given without it.
const module = "github.com/sallyport/sallyport"

// source is one Go file.
type source struct {
	name      string // "broker/sshd/doc.go"
	dir       string // "broker/sshd"; "." at the top
	file      *ast.File
	text      []byte
	test      bool // _test.go
	generated bool
}

// line says where a node stands: "broker/sshd/doc.go:12".
func (s *source) line(tree *tree, n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.name, tree.fset.Position(n.Pos()).Line)
}

// imports are the paths that the file imports, with ours shortened: "session".
func (s *source) imports() []imported {
	var all []imported
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
		short, ours := strings.CutPrefix(p, module+"/")
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		all = append(all, imported{path: short, ours: ours, name: name, at: spec})
	}
	return all
}

type imported struct {
	path string
	ours bool
	name string // as it is called in the file
	at   ast.Node
}

// std reports whether the import is of the standard library.
func (i imported) std() bool {
	first, _, _ := strings.Cut(i.path, "/")
	return !i.ours && !strings.Contains(first, ".")
}

// tree is the repository as the rules see it.
type tree struct {
	fsys  fs.FS
	fset  *token.FileSet
	files []*source
	top   []string // names at the top, dot-files and ignored output left out
	texts map[string][]byte
}

// packages lists the directories with Go files, sorted.
func (t *tree) packages() []string {
	var dirs []string
	for _, f := range t.files {
		if !slices.Contains(dirs, f.dir) {
			dirs = append(dirs, f.dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// product are the files that end up in a binary.
func (t *tree) product() []*source {
	var all []*source
	for _, f := range t.files {
		if !f.test && !f.generated {
			all = append(all, f)
		}
	}
	return all
}

// notOurs are directories that hold no source of ours.
func notOurs(dir string) bool {
	base := path.Base(dir)
	return dir != "." && (base == "node_modules" || base == "dist" || dir == "bin" || dir == "build" || dir == ".git" || dir == ".demo")
}

// grow reads a tree. Go files under testdata belong to the tests that read them.
func grow(t *testing.T, fsys fs.FS) *tree {
	t.Helper()
	tr := &tree{fsys: fsys, fset: token.NewFileSet(), texts: map[string][]byte{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && notOurs(name):
			return fs.SkipDir
		}
		if name != "." && !strings.Contains(name, "/") && !strings.HasPrefix(name, ".") {
			tr.top = append(tr.top, name)
		}
		if d.IsDir() || !d.Type().IsRegular() {
			return nil
		}
		return tr.add(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.files) == 0 {
		t.Fatal("no source files: the rules would hold for nothing")
	}
	return tr
}

func (t *tree) add(name string) error {
	text, err := fs.ReadFile(t.fsys, name)
	if err != nil {
		return err
	}
	if len(text) < 1<<20 && !bytes.ContainsRune(text, 0) {
		t.texts[name] = text
	}
	if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
		return nil
	}
	file, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &source{
		name: name, dir: path.Dir(name), file: file, text: text,
		test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(file),
	})
	return nil
}

// root is the top of the repository that this test belongs to.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above this test")
		}
		dir = up
	}
}

// ours is the repository.
func ours(t *testing.T) *tree {
	t.Helper()
	return grow(t, os.DirFS(root(t)))
}

// within reports whether a package is a directory or below it.
func within(pkg string, dirs ...string) bool {
	for _, d := range dirs {
		if pkg == d || strings.HasPrefix(pkg, d+"/") {
			return true
		}
	}
	return false
}
