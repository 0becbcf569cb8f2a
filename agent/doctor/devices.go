package doctor

import (
	"context"
	"sync"

	"github.com/sallyport/sallyport/agent/device"
)

// devices tries every device, some side by side, and reports in the order of the
// configuration.
func (x *checkup) devices(ctx context.Context) {
	found := make([]device.Checked, len(x.p.Devices))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, t := range x.p.Devices {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i] = t.Try(ctx, x.o.Login)
		})
	}
	all.Wait()
	for i, t := range x.p.Devices {
		name := "device " + t.Asset + "/" + t.Service
		if err := found[i].Err; err != nil {
			says, next := plain(err, "Ask the hospital's biomedical engineers.")
			x.add(name+" "+string(found[i].Step), Fail, says, next)
			continue
		}
		says := "The device is reached and " + found[i].Shown + "; the login was not tried."
		if found[i].Step == device.Enter {
			says = "The device is reached, " + found[i].Shown + " and accepts the login."
		}
		x.add(name, OK, says, "")
	}
}
