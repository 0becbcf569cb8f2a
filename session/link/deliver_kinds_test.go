package link

import (
	"testing"

	"github.com/sallyport/sallyport/session"
)

// Every kind that a broker sends passes the link, and nothing else does.
func TestDeliveriesOfEveryKindPass(t *testing.T) {
	for _, kind := range []Delivery{"request", "approval", "withdraw", "revoke", "checkpoint", "activate", "watch", "freeze", "thaw", "disable"} {
		if err := (Deliver{Kind: kind}).check(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range []Delivery{"", "Request", "kill", "enable", "deny", "request "} {
		if (Deliver{Kind: kind}).check() == nil {
			t.Errorf("%q passes", kind)
		}
	}
}

// A stream names its door, one of those that there are.
func TestOpensOfEveryDoorPass(t *testing.T) {
	for door, want := range map[Door]bool{DoorSSH: true, DoorAttach: true, DoorTLS: true, "": false, "browser": false, "SSH": false, "vnc": false} {
		o := Open{Token: aSecret, Node: "node1", Asset: "NGH-PETCT1", Service: "recon-ssh", Door: door}
		if (o.check() == nil) != want {
			t.Errorf("%q: %v", door, !want)
		}
	}
}

// What a report says of a protocol is one that there is.
func TestReportsNameKnownProtocols(t *testing.T) {
	for protocol, want := range map[session.Protocol]bool{session.SSH: true, "": false, "SSH": false, "vnc ": false} {
		x := RecordingReport{Recording: session.ID{1}.Recording(), Service: "recon-ssh", Protocol: protocol}
		r := SessionReport{Session: session.ID{1}.Session(), Recordings: []RecordingReport{x}}
		if (r.check() == nil) != want {
			t.Errorf("a recording of %q: %v", protocol, !want)
		}
		r = SessionReport{Session: session.ID{1}.Session(), Protocol: protocol}
		if want = want || protocol == ""; (r.check() == nil) != want { // a service that the agent knows no more
			t.Errorf("a session of %q: %v", protocol, !want)
		}
	}
}
