package agentcmd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/doctor"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/cmd/internal/signin"
	"github.com/sallyport/sallyport/session"
)

// try takes a person through one real sign-in, as an engineer's request or an approver's
// approval needs it, and says claim by claim what came. The token is for nothing: its
// nonce is of no document.
func try(cmd *cobra.Command, role session.Role) (doctor.Report, error) {
	cfg, err := operator.LoadOwned[agent.Config](cmd)
	if err != nil {
		return doctor.Report{}, err
	}
	side, class := session.VendorSide, session.CLI
	if role == session.Approver {
		side, class = session.HospitalSide, session.Console
	}
	issuer, client, ok := clientOf(cfg.Issuers, side, class)
	if !ok {
		return doctor.Report{}, session.Errorf(session.Invalid, "No %s issuer with a client of class %s is configured", side, class).WithNext("Add one to issuers.")
	}
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce) // never fails
	q := signin.Config{Issuer: issuer, ClientID: client, Nonce: base64.RawURLEncoding.EncodeToString(nonce), Fresh: role == session.Approver}
	flow, err := signin.Begin(cmd.Context(), q)
	if err != nil {
		return doctor.Report{}, err
	}
	defer flow.Close()
	fmt.Fprintf(cmd.ErrOrStderr(), "Open this address in a browser on this machine (from elsewhere: ssh -L to the port of %s), and sign in:\n  %s\n", flow.Redirect, flow.URL)
	ctx, cancel := context.WithTimeout(cmd.Context(), trialTime)
	defer cancel()
	token, _, err := flow.Wait(ctx)
	if err != nil {
		return doctor.Report{}, err
	}
	at := time.Now()
	checks := doctor.Claims(issuer, role, token, at)
	return doctor.Report{Checks: append(checks, agent.CheckToken(ctx, cfg, issuer, agent.Asked{Client: client, Nonce: q.Nonce, Fresh: q.Fresh, At: at}, token))}, nil
}

// clientOf is the first issuer of a side that has a client of a class.
func clientOf(issuers []session.Issuer, side session.Side, class session.ClientClass) (session.Issuer, string, bool) {
	for _, i := range issuers {
		for _, id := range i.Ids() {
			if i.Side == side && i.Clients[id] == class {
				return i, id, true
			}
		}
	}
	return session.Issuer{}, "", false
}
