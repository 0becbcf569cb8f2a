package world

import (
	"context"
	"encoding/json"

	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/session/durable"
)

// Ready is what the ready file holds: everything a script needs.
type Ready struct {
	Web         string             `json:"web"`
	SSH         string             `json:"ssh"`
	Console     string             `json:"console"` // the agent's own page
	AgentSocket string             `json:"agent_socket"`
	AgentConfig string             `json:"agent_config"`
	Issuers     map[string]string  `json:"issuers"`
	Personas    map[string]Persona `json:"personas"`
	Assets      []string           `json:"assets"`
	PIDs        map[string]int     `json:"pids"`
}

// Persona is somebody whom a script can be.
type Persona struct {
	Home      string `json:"home"`
	LoginHint string `json:"login_hint"`
}

// publish says that everything is reachable.
func (w *world) publish(context.Context) error {
	r := &Ready{
		Web: w.url(), SSH: w.ssh, Console: w.agent.Console.URL(),
		AgentSocket: w.agent.Socket, AgentConfig: w.path("agent.yaml"),
		Issuers:  map[string]string{"vendor": w.peers.vendor, "hospital": w.peers.hospital},
		Personas: map[string]Persona{},
	}
	for _, p := range devidp.Personas() {
		r.Personas[p.Key] = Persona{Home: w.path("personas", p.Key), LoginHint: p.Email}
	}
	for _, a := range w.agent.Assets {
		r.Assets = append(r.Assets, a.Name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready = r
	return w.writeReady()
}

// started notes a child's process id, in the ready file too when it stands already.
func (w *world) started(name string, pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pids[name] = pid
	if w.ready == nil {
		return
	}
	if err := w.writeReady(); err != nil {
		w.o.Log.Error("the ready file could not be rewritten", "err", err)
	}
}

// writeReady replaces the file in one step. w.mu is held.
func (w *world) writeReady() error {
	if w.o.Ready == "" {
		return nil
	}
	w.ready.PIDs = w.pids
	data, err := json.MarshalIndent(w.ready, "", "  ")
	if err != nil {
		return err
	}
	return durable.Show(w.o.Ready, append(data, '\n'))
}
