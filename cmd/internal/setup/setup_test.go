package setup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/session"
)

func some() []Question {
	return append(Issuer(session.HospitalSide, "the hospital's", "https://x"),
		Question{Key: "mail", Ask: "Mail", Why: "why", Usual: Usually("")},
		Question{Key: "sender", Ask: "Sender", Why: "why", Usual: Usually("a@b"), Skip: func(a Answers) bool { return a["mail"] == "" }},
		Question{Key: "name", Ask: "Name", Why: "why", Wrong: WrongName})
}

func TestAllThatIsWrongWithAnswersIsSaidAtOnce(t *testing.T) {
	_, err := Given(some(), Answers{"hospital_issuer": "ftp://x", "hospital_product": "acme", "odd": "1", "hospital_domain": "a\nb"})
	if session.KindOf(err) != session.Invalid {
		t.Fatal(err)
	}
	for _, want := range []string{"hospital_issuer: an address looks like", "hospital_product: it is one of", "hospital_domain: an answer is one line", "name: Name?", "odd: nobody asks this"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
}

func TestATerminalAsksAgainUntilTheAnswerCanBeUsed(t *testing.T) {
	var out strings.Builder
	a, err := Ask(strings.NewReader("nonsense\nhttps://idp.example.org\n\n\nexample.org\n\n-\nNGH\n"), &out, some(), Answers{})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for key, want := range map[string]string{"hospital_issuer": "https://idp.example.org", "hospital_product": "other", "hospital_domain": "example.org", "hospital_cli": "sallyport-cli", "sender": "", "name": "NGH"} {
		if a[key] != want {
			t.Errorf("%s is %q, not %q", key, a[key], want)
		}
	}
	if strings.Contains(out.String(), "Sender") || strings.Contains(out.String(), "Client id") || !strings.Contains(out.String(), "An address looks like") && !strings.Contains(out.String(), "an address looks like") {
		t.Error(out.String())
	}
	if _, err := Ask(strings.NewReader("https://idp.example.org\n"), &out, some(), Answers{}); session.KindOf(err) != session.Invalid {
		t.Errorf("questions without an answer: %v", err)
	}
}

// A file of answers as --questions prints it can be read, and asks only what has no usual answer.
func TestABlankFileOfAnswers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	text := Blank(some())
	text = strings.Replace(text, "\nhospital_issuer:\n", "\nhospital_issuer: https://idp.example.org\n", 1)
	text = strings.Replace(text, "\nhospital_domain:\n", "\nhospital_domain: example.org\n", 1)
	text = strings.Replace(text, "\nname:\n", "\nname: 7\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := ReadAnswers(file)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = Given(some(), a); err != nil || a["name"] != "7" || a["hospital_issuer"] != "https://idp.example.org" {
		t.Errorf("%v, %v", a, err)
	}
	for _, bad := range []string{"a: 1\na: 2\n", "- a\n", "a: [1]\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := ReadAnswers(file); session.KindOf(err) != session.Invalid || err == nil {
			t.Errorf("%q: %v, %v", bad, a, err)
		}
	}
}

// What is written into a configuration is read back as what was answered.
func TestAnswersComeBackFromYAML(t *testing.T) {
	for _, s := range []string{"NGH", "7", "0x1f", "true", "null", "~", "a: b", "a #b", "- a", "'x'", `"x"`, "{a}", "a,b", "Ä", "x:", "10.40.12.12", "1e3", "01", "Sallyport <a@b.example>", "https://a.example/b?c=d", "fe80::1", "!x", "&x", "*x", "%x", "@x", "yes", "", "a  b", ".5", "+1", ".inf"} {
		var got struct{ A string }
		if err := yaml.Unmarshal([]byte("a: "+scalar(s)+"\n"), &got); err != nil || got.A != s {
			t.Errorf("%q comes back as %q from %s, %v", s, got.A, scalar(s), err)
		}
	}
}

// What setup writes for a product is what the product's page says.
func TestProductsSayWhatTheirPagesSay(t *testing.T) {
	for _, name := range Products()[1:] {
		page, err := os.ReadFile("../../../deploy/identity/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		lines := product(name, "https://login.microsoftonline.com/TENANT-ID/v2.0")
		if lines == "" {
			t.Errorf("%s has no lines", name)
		}
		for line := range strings.Lines(lines) {
			if !strings.Contains(string(page), "\n"+strings.TrimPrefix(line, "  ")) {
				t.Errorf("%s: %q is not on its page", name, line)
			}
		}
	}
}

func TestNothingIsWrittenOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "a.yaml")
	if err := Absent(file); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, []byte("theirs")); session.KindOf(err) != session.Refused {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "mine" {
		t.Errorf("%q, %v", got, err)
	}
	link := file + ".link"
	if err := os.Symlink("/nowhere", link); err != nil {
		t.Fatal(err)
	}
	if Absent(link) == nil || Write(link, nil) == nil {
		t.Error("a link into nowhere is followed")
	}
}
