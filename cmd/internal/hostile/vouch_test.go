package hostile

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
)

// A broker that was taken over asks the agent for more of the hospital's network than the
// three questions of a sign-in, and gets none of it; with an agent that does not vouch, not
// even those.
func TestTheAgentAsksNoMoreThanASignInNeeds(t *testing.T) {
	t.Parallel()
	s := &siege{t: t, mode: simulator.Honest, vouch: true}
	s.begin()
	door := func(o link.Open) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			return s.broker.Open(ctx, site, agentName, o)
		}
	}
	hospital := session.Issuer{URL: s.hospital.Issuer(), Side: session.HospitalSide, InsecureLoopback: true}
	vendor := session.Issuer{URL: s.vendor.Issuer(), Side: session.VendorSide, InsecureLoopback: true}
	client := idtoken.Client(hospital, idtoken.Options{Through: door(link.Open{Door: link.DoorIssuer, Issuer: hospital.URL})})

	m, err := idtoken.Discover(t.Context(), client, hospital)
	if err != nil || m.Token != hospital.URL+"/token" {
		t.Fatalf("an honest question: %+v, %v", m, err)
	}
	for name, form := range map[string]url.Values{
		"a password":      {"grant_type": {"password"}, "username": {"m.okafor@northfield.example"}, "password": {"x"}, "client_id": {"sallyport-web"}},
		"another client":  {"grant_type": {"authorization_code"}, "code": {"x"}, "code_verifier": {"x"}, "client_id": {"sallyport-console"}},
		"a refresh token": {"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"sallyport-web"}},
	} {
		resp, err := client.PostForm(m.Token, form)
		if err != nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %+v, %v", name, resp, err)
		}
	}
	if resp, err := client.Get(hospital.URL + "/authorize"); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("another page: %+v, %v", resp, err)
	}
	for name, o := range map[string]link.Open{
		"an asset's door": {Door: link.DoorIssuer, Issuer: hospital.URL, Asset: "NGH-PETCT1", Service: "recon-ssh"},
		"no issuer":       {Door: link.DoorIssuer},
		"an address":      {Door: link.DoorIssuer, Issuer: "10.0.0.1:443"},
		"ssh to one":      {Door: link.DoorSSH, Issuer: hospital.URL, Asset: "NGH-PETCT1", Service: "recon-ssh"},
	} {
		if _, err := door(o)(t.Context(), "", ""); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	theirs := idtoken.Client(vendor, idtoken.Options{Through: door(link.Open{Door: link.DoorIssuer, Issuer: vendor.URL})})
	if _, err := idtoken.Discover(t.Context(), theirs, vendor); err == nil || !strings.Contains(err.Error(), "does not vouch") {
		t.Errorf("the vendor's provider: %v", err)
	}

	quiet := besiege(t)
	hospital.URL = quiet.hospital.Issuer()
	mute := idtoken.Client(hospital, idtoken.Options{Through: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return quiet.broker.Open(ctx, site, agentName, link.Open{Door: link.DoorIssuer, Issuer: hospital.URL})
	}})
	if _, err := idtoken.Discover(t.Context(), mute, hospital); err == nil || !strings.Contains(err.Error(), "does not vouch") {
		t.Errorf("an agent that does not vouch: %v", err)
	}
}
