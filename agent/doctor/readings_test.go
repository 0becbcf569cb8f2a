package doctor

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// Each source's word is told; what permits nothing is worth a look, and what is needed and
// dark is a fault.
func TestWhatSourcesSayIsTold(t *testing.T) {
	x := &checkup{p: Subject{Readings: []Reading{
		{Asset: "NGH-CT2", Source: "key-switch", State: session.InService, Says: "is on"},
		{Asset: "NGH-CT2", Source: "mpps", State: session.Scanning, Says: "a procedure is in progress"},
		{Asset: "NGH-CT2", Source: "probe", State: session.ModalityUnknown, Says: "the device does not answer"},
		{Asset: "NGH-CT2", Source: "lamp"},
		{Asset: "NGH-MR1", Source: "lamp", State: session.ModalityUnknown, Says: "does not light"},
		{Asset: "NGH-CT3", Source: "lamp", State: session.ModalityUnknown, Says: "does not light", Needed: true},
	}}}
	x.readings()
	for i, want := range []struct {
		name   string
		result Result
		words  string
	}{
		{"key-switch NGH-CT2", OK, "in-service: is on"}, {"mpps NGH-CT2", OK, "scanning: a procedure is in progress"},
		{"probe NGH-CT2", Warn, "the device does not answer"}, {"lamp NGH-CT2", OK, "as it should be"},
		{"lamp NGH-MR1", Warn, "does not light"}, {"lamp NGH-CT3", Fail, "does not light"},
	} {
		if c := x.report.Checks[i]; c.Name != want.name || c.Result != want.result || !strings.Contains(c.Says, want.words) || (c.Next == "") != (c.Result == OK) {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
}
