package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"iter"
	"path"
	"regexp"
	"slices"
	"strings"
)

// selectors yields every x.Y of a file with the name of x.
func selectors(f *ast.File) iter.Seq2[string, *ast.SelectorExpr] {
	return func(yield func(string, *ast.SelectorExpr) bool) {
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && !yield(x.Name, sel) {
					return false
				}
			}
			return true
		})
	}
}

// undocumented finds packages that do not say what they are for.
func undocumented(t *tree) []finding {
	docs := map[string]string{}
	named := map[string]string{}
	for _, f := range t.files {
		if f.test {
			continue
		}
		named[f.dir] = f.file.Name.Name
		if f.file.Doc != nil {
			docs[f.dir] += f.file.Doc.Text()
		}
	}
	var out []finding
	for _, dir := range t.packages() {
		name, ok := named[dir]
		if !ok {
			continue // tests only, outside house
		}
		want := "Package " + name + " "
		if name == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		if !strings.HasPrefix(docs[dir], want) {
			out = append(out, finding{dir, fmt.Sprintf("has no comment that begins %q", want), "a package says what it is for and what it may know"})
		}
	}
	return out
}

// strayBounds finds a bound outside its room's limits.go: a constant that is called max, or
// that is a time. A bound within a function is nobody else's.
func strayBounds(t *tree) []finding {
	var out []finding
	for _, f := range t.product() {
		if path.Base(f.name) == "limits.go" {
			continue
		}
		for _, d := range f.file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				continue
			}
			for _, s := range decl.Specs {
				spec := s.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if i < len(spec.Values) && isBound(name.Name, spec.Values[i]) {
						out = append(out, finding{f.line(t, name), "the bound " + name.Name + " is not in limits.go", "a newcomer looks there for every bound of a room, with its unit and why"})
					}
				}
			}
		}
	}
	return out
}

var bounding = regexp.MustCompile(`^[mM]ax([A-Z0-9].*)?$`)

func isBound(name string, value ast.Expr) bool {
	text, timed := false, false
	ast.Inspect(value, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			text = text || n.Kind == token.STRING
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			timed = timed || ok && x.Name == "time" && slices.Contains([]string{"Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"}, n.Sel.Name)
		}
		return true
	})
	return !text && (timed || bounding.MatchString(name))
}

// keptContexts finds a context.Context in a struct.
func keptContexts(t *tree) []finding {
	var out []finding
	for _, f := range t.product() {
		ctx := ""
		for _, i := range f.imports() {
			if i.path == "context" {
				ctx = i.name
			}
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok || ctx == "" {
				return true
			}
			for _, field := range s.Fields.List {
				if isContext(field.Type, ctx) {
					out = append(out, finding{f.line(t, field), "a context in a struct", "a context is the first argument, so that everyone sees how long it lives"})
				}
			}
			return true
		})
	}
	return out
}

func isContext(e ast.Expr, pkg string) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && x.Name == pkg && e.Sel.Name == "Context"
	case *ast.StarExpr:
		return isContext(e.X, pkg)
	case *ast.ArrayType:
		return isContext(e.Elt, pkg)
	case *ast.MapType:
		return isContext(e.Key, pkg) || isContext(e.Value, pkg)
	case *ast.ChanType:
		return isContext(e.Value, pkg)
	}
	return false
}

// inits finds init functions.
func inits(t *tree) []finding {
	var out []finding
	for _, f := range t.product() {
		for _, d := range f.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				out = append(out, finding{f.line(t, fn), "func init", "nothing happens because a package was linked"})
			}
		}
	}
	return out
}

// constants are calls whose result, kept in a package-level variable, nobody changes.
var constants = map[string]string{
	"errors.New":                     "a sentinel error",
	"fmt.Errorf":                     "a sentinel error",
	"session.Errorf":                 "a sentinel error",
	"session.Errorf().WithNext":      "a sentinel error with advice",
	"regexp.MustCompile":             "a compiled expression",
	"redis.NewScript":                "a compiled script",
	"template.Must":                  "a parsed template",
	"base32.StdEncoding.WithPadding": "an encoding",
	"base64.RawURLEncoding.Strict":   "an encoding",
	"crc32.MakeTable":                "a table",
	"reflect.TypeFor":                "a type",
	"base64.StdEncoding.Strict":      "an encoding",
}

// allowedVars are package-level variables with a reason, by "directory.name".
var allowedVars = map[string]string{
	"cmd/sallyport.version":        "set by the linker",
	"cmd/sallyport-broker.version": "set by the linker",
	"cmd/sallyport-agent.version":  "set by the linker",
}

// globals finds package-level variables that could be changed.
func globals(t *tree) []finding {
	var out []finding
	for _, f := range t.product() {
		for _, d := range f.file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.VAR {
				continue
			}
			for _, s := range decl.Specs {
				spec := s.(*ast.ValueSpec)
				if embedded(decl.Doc) || embedded(spec.Doc) {
					continue
				}
				for i, name := range spec.Names {
					if name.Name == "_" || allowedVars[f.dir+"."+name.Name] != "" || i < len(spec.Values) && constant(spec.Values[i]) {
						continue
					}
					out = append(out, finding{f.line(t, name), "var " + name.Name, "no package-level state: two of anything must be able to live side by side"})
				}
			}
		}
	}
	return out
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// constant reports whether an initial value is of a kind that nobody changes.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		return constants[called(e.Fun)] != ""
	case *ast.UnaryExpr: // &session.Error{...}, a sentinel error with its advice
		lit, ok := e.X.(*ast.CompositeLit)
		return ok && called(lit.Type) == "session.Error"
	}
	return false
}

// called spells what is called, "a.b.c", with () for calls inside.
func called(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return called(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return called(e.Fun) + "()"
	case *ast.IndexExpr:
		return called(e.X)
	}
	return "?"
}

// Hard limits. The normal sizes of the house are 400 lines, 40 lines, 12 fields and 4 methods.
const (
	maxFile    = 700
	maxFunc    = 120
	maxMethods = 4
	maxFields  = 16
)

// allowedSizes are exceptions with a reason, by file, "directory.Func" or "directory.Interface".
var allowedSizes = map[string]string{}

// wideStructs are exceptions with a reason, by "directory.Struct".
var wideStructs = map[string]string{
	"cmd/internal/console.View":    "what one page shows, each word with a row in WORDS.md",
	"cmd/internal/simulator.board": "what stands on the front of one simulated scanner",
}

func sizes(t *tree) []finding {
	var out []finding
	for _, f := range t.product() {
		lines := strings.Count(string(f.text), "\n")
		if lines > maxFile && allowedSizes[f.name] == "" {
			out = append(out, finding{f.name, fmt.Sprintf("%d lines", lines), "a file of more than 700 lines is two files"})
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				long := t.fset.Position(n.End()).Line - t.fset.Position(n.Pos()).Line + 1
				if long > maxFunc && allowedSizes[f.dir+"."+n.Name.Name] == "" {
					out = append(out, finding{f.line(t, n), fmt.Sprintf("func %s has %d lines", n.Name.Name, long), "more than 120 lines is several functions"})
				}
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok && !told(s) && fields(s) > maxFields && !strings.HasSuffix(n.Name.Name, "Config") && wideStructs[f.dir+"."+n.Name.Name] == "" {
					out = append(out, finding{f.line(t, n), fmt.Sprintf("struct %s has %d fields", n.Name.Name, fields(s)), "more than 16 fields: another noun is hiding"})
				}
				if i, ok := n.Type.(*ast.InterfaceType); ok && methods(i) > maxMethods && allowedSizes[f.dir+"."+n.Name.Name] == "" {
					out = append(out, finding{f.line(t, n), fmt.Sprintf("interface %s has %d methods", n.Name.Name, methods(i)), "more than 4 methods needs a reason"})
				}
			}
			return true
		})
	}
	return out
}

// fields counts what a struct holds; an embedded one counts as one.
func fields(s *ast.StructType) int {
	n := 0
	for _, f := range s.Fields.List {
		n += max(1, len(f.Names))
	}
	return n
}

// told reports whether a struct is a document: all that it holds is named for the wire or
// for a file, and whoever reads it there wants it in one piece.
func told(s *ast.StructType) bool {
	return !slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool { return f.Tag == nil && len(f.Names) > 0 })
}

// methods counts what an implementation must have; an embedded interface counts as one.
func methods(i *ast.InterfaceType) int {
	n := 0
	for _, m := range i.Methods.List {
		n += max(1, len(m.Names))
	}
	return n
}

var (
	scriptSkip = regexp.MustCompile(`^(\[[^\]]*\]\s*)*(skip|stop)\b`)
	leftovers  = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
)

// skips finds tests that can decide not to run, in Go and in test scripts.
func skips(t *tree) []finding {
	const why = "a missing peer is installed or the run fails; nothing is skipped"
	var out []finding
	for _, f := range t.files {
		if !f.test {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				out = append(out, finding{f.line(t, call), called(sel), why})
			}
			return true
		})
	}
	for name, text := range t.texts {
		if ext := path.Ext(name); ext != ".txtar" && ext != ".txt" || !strings.Contains(name, "testdata/") {
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "-- ") {
				break // the files of an archive
			}
			if scriptSkip.MatchString(strings.TrimSpace(line)) {
				out = append(out, finding{fmt.Sprintf("%s:%d", name, i+1), line, why})
			}
		}
	}
	return out
}

// unfinished finds notes to ourselves.
func unfinished(t *tree) []finding {
	var out []finding
	for name, text := range t.texts {
		if strings.Contains(name, "testdata/") || name == "go.sum" || name == "LICENSE" {
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			if m := leftovers.FindString(line); m != "" {
				out = append(out, finding{fmt.Sprintf("%s:%d", name, i+1), m, "finish it, or write it into the tracker"})
			}
		}
	}
	return out
}
