package broker

import (
	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/broker/identity"
)

// browsers is what the door for browsers stands on.
func (c *Config) browsers(people *identity.Identity) api.Web {
	w := api.Web{URL: c.URL, Browsers: people}
	if c.Demo == nil {
		return w
	}
	w.Demo = true
	for _, p := range c.Demo.Personas {
		w.Personas = append(w.Personas, api.Persona(p))
	}
	return w
}
