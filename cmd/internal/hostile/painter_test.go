package hostile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/session"
)

// A device whose output is as much work as can be for whoever draws its terminal holds up
// neither a freeze nor a kill nor the seal.
func TestAPainterHoldsNothingUp(t *testing.T) {
	patient := time.Duration(10) // times as long as promised, beside other tests
	if os.Getenv("SALLYPORT_PROVE") != "" {
		patient = 1
	}
	s := besiegeWith(t, simulator.Painter)
	w, err := s.shell(s.dial(s.granted(600)), true)
	if err != nil {
		t.Fatal(err)
	}
	s.until("it has painted a while", time.Minute, func() bool { n, _, _ := w.got(); return n > 4<<20 })
	operator := console.Client{Socket: filepath.Join(s.state, "agent.sock")}
	began := time.Now()
	if _, err := operator.Freeze(t.Context(), console.Target{All: true}); err != nil {
		t.Fatal(err)
	}
	froze := time.Since(began)
	began = time.Now()
	if _, err := operator.Kill(t.Context(), console.Target{All: true}); err != nil {
		t.Fatal(err)
	}
	killed := time.Since(began)
	sealed := s.until("the recording is sealed", 5*patient*time.Second, func() bool {
		all, _ := filepath.Glob(filepath.Join(s.state, "spool", "V-*", "seal"))
		return len(all) == 1
	})
	if froze > patient*killTime || killed > patient*killTime {
		t.Errorf("the freeze took %v, the kill %v", froze, killed)
	}
	_ = w.client.Close()
	if _, reasons := s.intact(); len(reasons) != 1 || reasons[0] != session.KilledLocal {
		t.Errorf("the recordings ended with %v", reasons)
	}
	t.Logf("ATTACK | a device paints what is most work for whoever draws it, while it is frozen and killed | acknowledged <= %v, sealed <= %v after | freeze %v, kill %v, sealed %v after | holds",
		patient*killTime, 5*patient*time.Second, froze.Round(time.Millisecond), killed.Round(time.Millisecond), sealed.Round(time.Millisecond))
}
