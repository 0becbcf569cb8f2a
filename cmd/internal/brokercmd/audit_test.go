//go:build unix

package brokercmd

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recordings/witness"
)

// events reads what audit shows.
func (x *installed) events(args ...string) (v eventsView) {
	x.t.Helper()
	out := x.run(0, append([]string{"audit", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Events == nil {
		x.t.Fatalf("%v: %s", err, out)
	}
	return v
}

// Operators read beside the running broker what is no hospital's; refused sign-ins of one
// network are one entry at once, and one of all that followed when the broker stops.
func TestOperatorsReadWhatIsNoHospitals(t *testing.T) {
	x := install(t)
	out, err := x.command(0, "audit").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no audit log yet") || !strings.Contains(string(out), "sallyport-broker serve") {
		t.Errorf("before there is a log: %v, %s", err, out)
	}
	r := x.start()
	text, err := os.ReadFile(x.config)
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`^listen: "(.*)"`).FindSubmatch(text)[1]
	for range 4 {
		ask, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+string(address)+"/api/v1/login", strings.NewReader(`{"id_token":"x","salt":"eA==","key":"x","signature":"eA=="}`))
		if err != nil {
			t.Fatal(err)
		}
		ask.Host = "127.0.0.1:8443"
		ask.Header.Set("Content-Type", "application/json")
		a, err := http.DefaultClient.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode/100 != 4 {
			t.Errorf("a malformed sign-in: %s", a.Status)
		}
	}
	v := x.events()
	if len(v.Events) != 2 || v.Events[0].Event.Event != witness.BrokerStarted || v.Events[1].Event.Event != witness.LoginRefused ||
		v.Events[1].Details["count"] != "1" || v.Events[1].Details["network"] != "127.0.0.0/24" || len(v.Logs) != 1 || v.Logs[0].Before != 0 || v.Events[0].Log != v.Logs[0].Log {
		t.Errorf("beside the broker: %+v", v)
	}
	if words := x.run(0, "audit", "--last", "1"); !strings.Contains(words, "login-refused") || strings.Contains(words, "broker-started") ||
		!strings.Contains(words, "sallyport-broker audit --before 1") {
		t.Errorf("%s", words)
	}
	if v = x.events("--before", "1"); len(v.Events) != 1 || v.Events[0].Seq != 0 {
		t.Errorf("before the first: %+v", v)
	}
	r.stop()
	v = x.events("--last", "1")
	if len(v.Events) != 1 || v.Events[0].Event.Event != witness.LoginRefused || v.Events[0].Details["count"] != "3" || v.Logs[0].Before != v.Events[0].Seq {
		t.Errorf("after it stopped: %+v", v)
	}
	for _, bad := range [][]string{{"--last", "0"}, {"--last", "501"}, {"--before", "-1"}, {"--log", "broker/nobody"}, {"more"}} {
		if err := x.command(0, append([]string{"audit"}, bad...)...).Run(); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
	if out, err := x.command(0, "__complete", "aud").CombinedOutput(); err != nil || !strings.Contains(string(out), "audit") {
		t.Errorf("completion: %v, %s", err, out)
	}
	x.owned()
}
