package agent

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/agent/doctor"
	"github.com/sallyport/sallyport/session"
)

// consent is what the operator at an asset is asked before a session opens there.
func (c *Config) consent(asset string) session.Consent {
	for _, a := range c.Assets {
		if a.Name == asset {
			return a.asks()
		}
	}
	return session.ConsentNone
}

// asks is the asset's consent, with the default.
func (a Asset) asks() session.Consent {
	if a.Consent == "" {
		return session.ConsentNone
	}
	return a.Consent
}

func (v *checker) consent(path string, a Asset) {
	v.require(path, a.asks().Known(), fmt.Sprintf("a consent is %q, %q or %q", session.ConsentNone, session.ConsentOperator, session.ConsentCode))
}

// consentChecks say where the operators can answer who are asked.
func consentChecks(cfg Config) []doctor.Check {
	var asking []string
	for _, a := range cfg.Assets {
		if a.asks().Asked() {
			asking = append(asking, a.Name)
		}
	}
	if len(asking) == 0 {
		return nil
	}
	c := doctor.Check{Name: "consent of the operator", Result: doctor.OK, Says: "It is asked at " + strings.Join(asking, ", ") + ", and given on the agent's page."}
	switch {
	case cfg.Console.Listen == "":
		c.Result, c.Says = doctor.Warn, "It is asked at "+strings.Join(asking, ", ")+", and there is no page of the agent: it can only be given at this machine, by sallyport-agent consent."
		c.Next = "Configure console.listen and console.pin, so that the people at the scanners can answer."
	case cfg.Console.PIN.IsZero():
		c.Result, c.Says = doctor.Warn, "It is asked at "+strings.Join(asking, ", ")+", and the agent's page has no PIN: there it can only be refused, and given by sallyport-agent consent at this machine."
		c.Next = "Make a PIN with sallyport-agent pin, and name its file as console.pin."
	}
	return []doctor.Check{c}
}
