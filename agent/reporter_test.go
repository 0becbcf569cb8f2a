package agent

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

type blankBook struct{}

func (blankBook) Report(session.ID) (uint64, error) { return 7, nil }
func (blankBook) Keys(session.ID) int               { return 1 }

// A report says what its service speaks, as the configuration has it when it is sent.
func TestReportsSayTheProtocol(t *testing.T) {
	c := Config{Assets: []Asset{{Name: "NGH-CT1", Endpoints: []Endpoint{{Name: "recon", Services: []Service{{Name: "recon-ssh", Protocol: session.SSH}}}}}}}
	var sent []link.SessionReport
	r := newReporter(blankBook{}, c.protocol, func(_ context.Context, rep link.SessionReport) error {
		sent = append(sent, rep)
		return nil
	}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	for i, service := range []string{"recon-ssh", "gone"} {
		r.add(link.SessionReport{Session: session.ID{byte(i + 1)}.Session(), Asset: "NGH-CT1", Service: service})
	}
	r.flush(t.Context())
	if len(sent) != 2 || len(r.pending()) != 0 {
		t.Fatalf("%d sent, %d wait", len(sent), len(r.pending()))
	}
	for _, rep := range sent {
		if want := map[string]session.Protocol{"recon-ssh": session.SSH, "gone": ""}[rep.Service]; rep.Protocol != want || rep.Keys != 1 || rep.Seq != 7 {
			t.Errorf("%s: %+v", rep.Service, rep)
		}
	}
}
