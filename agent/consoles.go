package agent

import (
	"context"

	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/agent/engine/screen"
	"github.com/sallyport/sallyport/agent/ledger"
)

// dialVNC connects a console that speaks VNC.
func (a *Agent) dialVNC(ctx context.Context, t ledger.Ticket, service string, use screen.Use) (screen.Client, error) {
	client, err := a.devices.DialVNC(ctx, t, service, use.Screen, device.Use{Copied: use.Copied, Proved: use.Proved})
	if err != nil {
		return nil, err
	}
	return client, nil
}

// dialRDP connects a console that speaks RDP.
func (a *Agent) dialRDP(ctx context.Context, t ledger.Ticket, service string, use screen.Use) (screen.Client, error) {
	client, err := a.devices.DialRDP(ctx, t, service, use.Screen, device.Use{Copied: use.Copied, Pastes: use.Pastes, Said: use.Said, Proved: use.Proved, Again: use.Again})
	if err != nil {
		return nil, err
	}
	return client, nil
}
