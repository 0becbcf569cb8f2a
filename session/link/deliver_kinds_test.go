package link

import "testing"

// Every kind that a broker sends passes the link, and nothing else does.
func TestDeliveriesOfEveryKindPass(t *testing.T) {
	for _, kind := range []string{"request", "approval", "withdraw", "revoke", "checkpoint", "activate", "freeze", "thaw", "disable"} {
		if err := (Deliver{Kind: kind}).check(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range []string{"", "Request", "kill", "enable", "request "} {
		if (Deliver{Kind: kind}).check() == nil {
			t.Errorf("%q passes", kind)
		}
	}
}
