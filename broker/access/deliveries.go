package access

import (
	"sync"

	"github.com/sallyport/sallyport/session"
)

// deliveries are what an agent is asked on engineers' behalf at this moment, by person and by
// vendor at a site. An agent works on few at a time and may ask an identity provider for
// each: one vendor never has all of that. What hospitals decide is not counted.
type deliveries struct {
	mu    sync.Mutex
	going map[string]int
}

// begin counts one in until done is called.
func (d *deliveries) begin(who session.Identity, site string) (done func(), err error) {
	own, vendor := onScanner(who, site, ""), vendorAt(who.Iss, site)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.going[own] >= maxDelivering || d.going[vendor] >= maxVendorDelivering {
		return nil, refusal(session.Refused, "Try again in a moment.", "%s is still looking at what you, or others of your company, asked.", site)
	}
	d.going[own]++
	d.going[vendor]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, name := range []string{own, vendor} {
			if d.going[name]--; d.going[name] == 0 {
				delete(d.going, name)
			}
		}
	}, nil
}
