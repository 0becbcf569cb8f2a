package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/secret"
)

const password = "hunter2-never-shown"

func parse(t *testing.T, s string) secret.Reference {
	t.Helper()
	r, err := secret.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// files writes files of a directory with their modes.
func files(t *testing.T, content map[string]string, modes map[string]fs.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		mode, ok := modes[name]
		if !ok {
			mode = 0o600
		}
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSecretsComeFromWhereTheirReferenceLeads(t *testing.T) {
	dir := files(t, map[string]string{
		"scanner": password + "\n", "good": password + "\r\n", "open": password, "group": password,
		"empty": "", "blank": "\n", "two": password + "\nline", "huge": strings.Repeat("x", secret.MaxSecret+1),
	}, map[string]fs.FileMode{"scanner": 0o440, "open": 0o644, "group": 0o640})
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	t.Setenv("SCANNER_PASSWORD", password)
	t.Setenv("EMPTY_PASSWORD", "")
	for ref, want := range map[string]string{
		"file:" + dir + "/good": "", "env:SCANNER_PASSWORD": "", "credential:scanner": "", "credential:group": "",
		"file:" + dir + "/open": "chmod 600", "file:" + dir + "/group": "chmod 600", "file:" + dir + "/scanner": "chmod 600", "credential:open": "chmod 600",
		"file:" + dir + "/empty": "empty", "file:" + dir + "/blank": "empty", "file:" + dir + "/two": "more than one line",
		"file:" + dir + "/huge": "larger", "credential:huge": "larger",
		"file:" + dir: "no regular file", "file:" + dir + "/none": "no such file", "credential:none": "no such file",
		"env:NOT_SET_ANYWHERE": "not set", "env:EMPTY_PASSWORD": "empty",
	} {
		got, err := parse(t, ref).Line()
		if want == "" && (err != nil || got != password) {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
		if want != "" && (err == nil || got != "" || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ref) || strings.Contains(err.Error(), password)) {
			t.Errorf("%s: %q, %v, expected %q", ref, got, err, want)
		}
	}
	if _, err := parse(t, "credential:none").Line(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing credential: %v", err)
	}
	var none secret.Reference
	if _, err := none.Read(); err == nil {
		t.Error("no reference leads somewhere")
	}
}

// Without a directory of credentials nothing is read, least of all here.
func TestTheWorkingDirectoryHoldsNoCredentials(t *testing.T) {
	dir := files(t, map[string]string{"x": password}, nil)
	t.Chdir(dir)
	for _, directory := range []string{"", ".", "./", "sub/..", "../" + filepath.Base(dir)} {
		t.Setenv("CREDENTIALS_DIRECTORY", directory)
		if got, err := parse(t, "credential:x").Line(); err == nil {
			t.Errorf("CREDENTIALS_DIRECTORY=%q: read %q", directory, got)
		}
	}
	for _, s := range []string{"file:x", "file:./x", "x", "credential:./x"} {
		if _, err := secret.Parse(s); err == nil {
			t.Errorf("%q leads into the working directory", s)
		}
	}
}

func TestWhatIsNoReferenceIsRefusedAndNotRepeated(t *testing.T) {
	for _, bad := range []string{
		"", password, "file:", "file:relative", "file:/a/../b", "file:/a/", "file://a", "file:/a\x00b", "env:", "env:A B", "env:A=B", "env:.A", "env:ä",
		"credential:", "credential:../x", "credential:.x", "credential:a/b", "credential:/etc/shadow", "credential:" + strings.Repeat("x", 129),
		"plain:" + password, "FILE:/x", " file:/x", "http://x",
	} {
		r, err := secret.Parse(bad)
		if session.KindOf(err) != session.Invalid || strings.Contains(err.Error(), password) || !r.IsZero() {
			t.Errorf("%q: %v, %v", bad, r, err)
		}
	}
}

// No credential leaves its directory.
func TestCredentialsStayInTheirDirectory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[./a-z\\-]{0,12}`).Draw(t, "name")
		if _, err := secret.Parse("credential:" + name); err != nil {
			return
		}
		if path := filepath.Join("/dir", name); filepath.Dir(path) != "/dir" {
			t.Fatalf("%q leads to %s", name, path)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"file:/path", "env:NAME", "credential:x", "file:/a/./b", "x", ":", "env:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := secret.Parse(s)
		if err == nil && r.String() != s {
			t.Errorf("%q reads as %q", s, r)
		}
		var again secret.Reference
		if text, _ := r.MarshalText(); err == nil && (again.UnmarshalText(text) != nil || again != r) {
			t.Errorf("%q does not survive its text", s)
		}
		if err != nil && !r.IsZero() {
			t.Error("an error and a value")
		}
	})
}
