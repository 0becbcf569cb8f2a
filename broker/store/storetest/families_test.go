package storetest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker/store"
)

// kindsOf are the kinds that a source file names: constants called kind, or whose names end so.
func kindsOf(file *ast.File) (kinds []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		for i := 0; ok && i < len(spec.Values); i++ {
			name := spec.Names[i].Name
			lit, text := spec.Values[i].(*ast.BasicLit)
			if (name == "kind" || strings.HasSuffix(name, "Kind")) && text && lit.Kind == token.STRING {
				kind, _ := strconv.Unquote(lit.Value)
				kinds = append(kinds, kind)
			}
		}
		return true
	})
	return kinds
}

// Every kind that the broker's source names has a family, and every family a kind.
func TestEveryKindIsDescribed(t *testing.T) {
	named := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == "node_modules" || d.Name() == "storetest") {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		for _, kind := range kindsOf(file) {
			named[kind] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families() {
		if named[f.Kind] == "" {
			t.Errorf("no source names the kind %s", f.Kind)
		}
		delete(named, f.Kind)
		if f.What == "" || f.Owner == "" || f.Bound == "" || f.Life == 0 && f.Stays == "" {
			t.Errorf("%s is not described: %+v", f.Kind, f)
		}
	}
	for kind, path := range named {
		t.Errorf("%s writes documents of the kind %s, and families says nothing of them", path, kind)
	}
}

// row is a family as people read it.
func (f Family) row() string {
	end := f.Stays
	if f.Life > 0 {
		end = "after " + life(f.Life) + " at the most"
	}
	if f.Life > 0 && f.Stays != "" {
		end += "; " + f.Stays
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", f.Kind, f.What, f.Owner, f.Bound, end)
}

func life(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// The page for those who run a broker lists the same.
func TestThePageListsTheFamilies(t *testing.T) {
	page, err := os.ReadFile("../../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "| kind | one document | room | how many | its end |\n|---|---|---|---|---|\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	var rows []string
	for _, f := range families() {
		rows = append(rows, f.row())
	}
	if want := strings.Join(rows, "\n"); table != want {
		t.Errorf("the table of deploy/README.md has to be\n%s", want)
	}
}

// What nobody described is found: a key of no family, one without an end, and an index that
// outlives what it lists.
func TestWhatIsNotDescribedIsFound(t *testing.T) {
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	s, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
	must(t, err)
	defer s.Close()
	must(t, s.Create(t.Context(), "request", "a", nil, 0, "kept"))
	must(t, s.Create(t.Context(), "login", "a", nil, time.Hour, "person"))
	must(t, s.Create(t.Context(), "grant", "a", nil, time.Hour))
	must(t, s.Create(t.Context(), "grant", "b", nil, 0))
	said := func() []string {
		heard := &hearing{TB: t}
		Described(heard, url)
		slices.Sort(heard.said)
		return heard.said
	}
	if all := said(); len(all) != 0 {
		t.Errorf("in order, and found: %q", all)
	}
	must(t, s.Create(t.Context(), "thing", "a", nil, time.Hour))
	must(t, s.Create(t.Context(), "key", "a", nil, 0))
	must(t, s.Create(t.Context(), "ticket", "a", nil, time.Hour))
	must(t, server.Set("sallyport-other", "x"))
	server.SetTTL("sallyport:{login}:under:person", 0)
	all := strings.Join(said(), "\n")
	for _, want := range []string{"{thing}:doc:a\" is, how many", "{key}:doc:a\" never ends", "{ticket}:doc:a\" lives for 1h", "is like \"sallyport-other\"", "{login}:under:person\" is an index that never ends"} {
		if !strings.Contains(all, want) {
			t.Errorf("not found: %s\n%s", want, all)
		}
	}
}

// hearing keeps what a test would have said.
type hearing struct {
	testing.TB
	said []string
}

func (h *hearing) Errorf(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf(format, args...))
}
