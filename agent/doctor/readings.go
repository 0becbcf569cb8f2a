package doctor

import (
	"fmt"

	"github.com/sallyport/sallyport/session"
)

// readings tells what each source of a scanner's state says. One that says nothing clear
// lets nothing reach the scanner, so it is worth a look.
func (x *checkup) readings() {
	for _, r := range x.p.Readings {
		name := r.Source + " " + r.Asset
		switch {
		case r.State != session.ModalityUnknown && r.State != "":
			x.add(name, OK, fmt.Sprintf("It says %s: %s.", r.State, r.Says), "")
		case r.State == "":
			x.add(name, OK, "It is as it should be.", "")
		case r.Needed:
			x.add(name, Fail, fmt.Sprintf("It is needed, and %s.", r.Says), "Mend it: nothing opens until then.")
		default:
			x.add(name, Warn, fmt.Sprintf("It says nothing that permits work: %s.", r.Says), "Look after it, or have the operator say how the scanner stands (sallyport-agent state).")
		}
	}
}
