package world

import (
	"bytes"
	_ "embed"
	"io"
	"path/filepath"
	"slices"
	"text/template"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/session"
)

//go:embed page.txt
var pageText string

// page prints what a newcomer needs to walk through the demonstration by hand.
func (w *world) page(out io.Writer) error {
	if out == nil {
		return nil
	}
	asset, service := w.agent.Assets[0], w.agent.Assets[0].Endpoints[0].Services[0]
	of := session.Target{Site: site, Asset: asset.Name, Service: service.Name}
	text, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := text.Execute(&b, map[string]any{
		"Site": site, "Scanners": len(w.agent.Assets), "Service": of, "Host": of.Host(), "Console": w.shown(session.Protocol.Shows), "NoWindows": w.shown(isRDP) == "", "Patient": w.minded(), "People": devidp.Personas(),
		"Web": w.url(), "SSH": w.ssh, "Vendor": w.peers.vendor, "Hospital": w.peers.hospital, "Socket": w.agent.Socket,
		"Page": w.agent.Console.URL(), "PIN": demoPIN, "Key": w.wire(keyFile), "Lamp": w.wire(lampFile),
		"Bin": filepath.Dir(w.o.Exe), "Homes": w.path("personas"), "Config": w.path("agent.yaml"), "Logs": w.path("logs"), "Mail": w.path("mail"),
	}); err != nil {
		return err
	}
	_, _ = out.Write(b.Bytes())
	return nil
}

func isRDP(p session.Protocol) bool { return p == session.RDP }

// minded is the first scanner whose state the operator's switch says; empty if there is none.
func (w *world) minded() string {
	for _, a := range w.agent.Assets {
		if slices.ContainsFunc(a.Modality.Sources, func(s agent.StateSource) bool { return s.Operator }) {
			return a.Name
		}
	}
	return ""
}

// wire is the file of a wire of the simulated scanner; empty where that is not there.
func (w *world) wire(name string) string {
	if w.o.AgentConfig != "" {
		return ""
	}
	return w.path(name)
}

// shown is the first console whose protocol is as is says; empty if there is none.
func (w *world) shown(is func(session.Protocol) bool) string {
	for _, a := range w.agent.Assets {
		for _, e := range a.Endpoints {
			for _, s := range e.Services {
				if is(s.Protocol) {
					return session.Target{Site: site, Asset: a.Name, Service: s.Name}.String()
				}
			}
		}
	}
	return ""
}
