package agent

import (
	"context"

	"github.com/sallyport/sallyport/agent/engine/screen"
	"github.com/sallyport/sallyport/agent/ledger"
	console "github.com/sallyport/sallyport/session/screen"
)

// dialVNC connects a console that speaks VNC.
func (a *Agent) dialVNC(ctx context.Context, t ledger.Ticket, service string, s *console.Screen, copied func(string)) (screen.Client, error) {
	client, err := a.devices.DialVNC(ctx, t, service, s, copied)
	if err != nil {
		return nil, err
	}
	return client, nil
}
