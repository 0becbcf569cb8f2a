package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) recordingsVerifyCommand() *cobra.Command {
	return about(p, session.ParseRecordingID, p.recordings(), &cobra.Command{
		Use:   "verify RECORDING",
		Short: "Fetch a recording and check it against your trust bundle",
		Long: `Fetch a recording and check it against your trust bundle, as "sallyport verify" does
with a file. It is not kept, and the hospital's audit log says so. A recording that is
listed live has no seal yet; live is status 0 then.`,
	}, func(ctx context.Context, who signedIn, id string) error {
		trust, err := who.home.Signers()
		if err != nil {
			return err
		}
		// The state is asked first: what is sealed meanwhile verifies as sealed.
		listed, err := client.Recording.Get(ctx, who.broker, id)
		if err != nil {
			return err
		}
		f, size, done, err := download(ctx, who, client.RecordingPack, id, "to be verified, not kept")
		if err != nil {
			return err
		}
		defer done()
		v := p.format.Verify(f, size, trust)
		if v.Recording != "" || v.Result != tampered {
			if err := asked(id, v.Recording); err != nil {
				return err
			}
		}
		return p.judge(v, listed.State == live)
	})
}
