package attach

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// The frames of the page have the bounds that the agent has.
func TestThePagesFramesHaveTheseBounds(t *testing.T) {
	text, err := os.ReadFile("../../broker/web/src/lib/frames.ts")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"maxPayload": MaxPayload, "maxJSON": MaxJSON, "maxCode": MaxCode} {
		m := regexp.MustCompile(`(?m)^export const ` + name + ` = (\d+)(?: << (\d+))?;`).FindSubmatch(text)
		if m == nil {
			t.Errorf("no %s that is understood", name)
			continue
		}
		n, _ := strconv.Atoi(string(m[1]))
		by, _ := strconv.Atoi(string(m[2]))
		if n<<by != want {
			t.Errorf("%s is %d on the page, %d at the agent", name, n<<by, want)
		}
	}
}
