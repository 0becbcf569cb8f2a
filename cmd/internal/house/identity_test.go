package house

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/session"
)

// The entry on each page of deploy/identity is one that agent and broker take.
func TestIdentityPages(t *testing.T) {
	pages, err := filepath.Glob("../../../deploy/identity/*.md")
	if err != nil || len(pages) < 6 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		found := block.FindSubmatch(text)
		if found == nil {
			if filepath.Base(page) != "README.md" {
				t.Errorf("%s has no entry", page)
			}
			continue
		}
		var i session.Issuer
		if err := yaml.UnmarshalWithOptions(found[1], &i, yaml.Strict()); err != nil {
			t.Errorf("%s: %v", page, err)
		}
		if err := i.Check("$"); err != nil || i.Side != session.HospitalSide || i.Login == "" || len(i.Clients) == 0 || !i.Safe(i.URL) {
			t.Errorf("%s: %v, %+v", page, err, i)
		}
	}
}
