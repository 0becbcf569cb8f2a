package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sallyport/sallyport/agent/modality"
	"github.com/sallyport/sallyport/agent/modality/keyswitch"
	"github.com/sallyport/sallyport/agent/modality/mpps"
	"github.com/sallyport/sallyport/agent/modality/probe"
	"github.com/sallyport/sallyport/session"
)

// MPPS is where a scanner reports its procedure steps by DICOM.
type MPPS struct {
	Listen  string   `yaml:"listen"`           // one address of the hospital's own network, and a port; assets may share it
	Called  string   `yaml:"called,omitempty"` // our AE title; left out: SALLYPORT
	Calling []string `yaml:"calling"`          // the scanner's AE titles
	From    []string `yaml:"from,omitempty"`   // its addresses; left out: those of its endpoints
}

const defaultTitle = "SALLYPORT"

// source makes the listener's part for an asset.
func (m MPPS) source(a Asset, ports *mpps.Ports) (modality.Source, error) {
	c := mpps.Config{Listen: m.Listen, Called: m.Called, Calling: m.Calling}
	if c.Called == "" {
		c.Called = defaultTitle
	}
	for _, from := range m.From {
		at, err := netip.ParseAddr(from)
		if err != nil {
			return nil, fmt.Errorf("%q is no address", from)
		}
		c.From = append(c.From, at.Unmap())
	}
	if len(m.From) == 0 {
		for _, e := range a.Endpoints {
			if at, err := netip.ParseAddr(e.Address); err == nil {
				c.From = append(c.From, at.Unmap())
			}
		}
	}
	s, err := ports.Source(c)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Probe asks a device how it stands.
type Probe struct {
	Endpoint string                           `yaml:"endpoint"` // of this asset; nothing else is ever asked
	Port     int                              `yaml:"port"`
	Path     string                           `yaml:"path,omitempty"`   // of its status page; left out: that the port answers is enough
	Pin      string                           `yaml:"pin,omitempty"`    // "sha256:..." of its certificate, where the page is https
	Field    string                           `yaml:"field,omitempty"`  // of an answer of JSON, "modality.state"; left out: words anywhere in it
	States   map[string]session.ModalityState `yaml:"states,omitempty"` // what its words mean; any other is unknown
}

func (p Probe) source(a Asset) (modality.Source, error) {
	i := slices.IndexFunc(a.Endpoints, func(e Endpoint) bool { return e.Name == p.Endpoint })
	if i < 0 {
		return nil, errors.New("a probe asks an endpoint of this asset")
	}
	s, err := probe.New(probe.Config{Address: a.Endpoints[i].Address, Port: p.Port, Path: p.Path, Pin: p.Pin, Field: p.Field, States: p.States})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// wired makes the source of a key switch.
func wired(line string) (modality.Source, error) {
	s, err := keyswitch.New(line)
	if err != nil {
		return nil, err
	}
	return s, nil
}
