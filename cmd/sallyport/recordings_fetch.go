package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

func (p *program) recordingsFetchCommand() *cobra.Command {
	var file, reason string
	var bare bool
	c := about(p, session.ParseRecordingID, p.recordings(), &cobra.Command{
		Use:   "fetch RECORDING -o FILE --reason WHY",
		Short: "Save a recording as one file that verifies offline",
		Long: `Save the evidence pack of a recording: the recording itself, the request and the grant
with the sign-ins that prove them, and the broker's countersignatures. The one file can
be checked by anybody who has the site's trust bundle, without an account or a network.
With --recording-only it is the recording alone.`,
		Example: "  sallyport recordings fetch V-aaaaaaaaaaaaaaaaaaaaaaaaaa -o evidence.sally --reason \"Complaint 12\"\n  sallyport verify evidence.sally",
	}, func(ctx context.Context, who signedIn, id string) error {
		from := client.RecordingPack
		if bare {
			from = client.RecordingFile
		}
		n, err := p.fetch(ctx, who, from, id, reason, file)
		return p.told(map[string]any{"id": id, "file": file, "bytes": n}, err, func() {
			p.say("Saved %s, %s. Check it with: sallyport verify %s", file, display.Size(n), file)
		})
	})
	c.PreRunE = func(*cobra.Command, []string) error {
		if file == "" {
			return usage("It is not said where to save the recording").WithNext("Add -o FILE.")
		}
		return explained(reason)
	}
	c.Flags().StringVar(&reason, "reason", "", "why you take it out; stands in the hospital's audit log")
	c.Flags().BoolVar(&bare, "recording-only", false, "save the recording without papers and countersignatures")
	// Shadows the global -o: here it names the file, and --json asks for JSON.
	c.Flags().StringVarP(&file, "output", "o", "", "the file to write")
	return c
}

// fetch saves the container under its name only when it is complete, and is not another's.
// What cannot be read is saved as it came: that is for verify to say.
func (p *program) fetch(ctx context.Context, who signedIn, from client.File, id, reason, file string) (int64, error) {
	f, err := durable.Create(file)
	if err != nil {
		return 0, err
	}
	defer f.Abort()
	n, err := from.Copy(ctx, who.broker, id, reason, f)
	if err != nil {
		return n, err
	}
	if t, err := p.format.Open(f, n); err == nil {
		err = errors.Join(asked(id, t.Header().Recording), t.Close())
		if err != nil {
			return n, err
		}
	}
	return n, f.Commit()
}
