package stories

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// outlives SESSION DURATION: by the agent's own word the session lives, and was opened longer
// ago than that.
func cmdOutlives(ts *testscript.TestScript, _ bool, args []string) {
	long, err := time.ParseDuration(args[1])
	ts.Check(err)
	until(ts, args[0]+" outlives "+args[1], func() error {
		ts.Check(ts.Exec("sallyport-agent", "status", "--json", "--socket", ts.Getenv("AGENT_SOCKET")))
		var st struct {
			Sessions []struct {
				ID     string    `json:"id"`
				Opened time.Time `json:"opened"`
			} `json:"sessions"`
		}
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &st))
		for _, s := range st.Sessions {
			if s.ID != args[0] {
				continue
			}
			if age := time.Since(s.Opened); age <= long {
				return fmt.Errorf("it is %s old", age)
			}
			return nil
		}
		ts.Fatalf("%s does not live: %+v", args[0], st.Sessions)
		return nil
	})
}
