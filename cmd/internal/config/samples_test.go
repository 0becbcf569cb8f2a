package config_test

import (
	"testing"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/config"
)

// The samples that people copy are loaded as they stand, by the real loader.
func TestSamplesLoad(t *testing.T) {
	var a agent.Config
	if err := config.Load("../../../deploy/agent.example.yaml", &a); err != nil {
		t.Error(err)
	}
	if len(a.Assets) == 0 || len(a.Issuers) != 2 {
		t.Errorf("the agent's sample is thin: %+v", a)
	}
	var b broker.Config
	if err := config.Load("../../../deploy/broker.example.yaml", &b); err != nil {
		t.Error(err)
	}
	if len(b.Issuers) != 2 || b.TLS.Certificate == "" {
		t.Errorf("the broker's sample is thin: %+v", b)
	}
}
