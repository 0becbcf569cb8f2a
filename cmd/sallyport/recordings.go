package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

func (p *program) recordingsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "recordings",
		Aliases: []string{"recording"},
		Short:   "List, replay, check, review and take out recordings",
		Long: `List, replay, check and take out recordings. There is one per connection to a scanner,
several in a session. Auditors and approvers see their site's, engineers their own.
What the engineer typed is sealed for the hospital; replays show what the scanner answered.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.recordingsListCommand(), p.recordingsFetchCommand(), p.recordingsPlayCommand(), p.recordingsVerifyCommand(), p.recordingsExportCommand(), p.recordingsReviewCommand())
	return c
}

func lasted(r api.Recording) string {
	if r.Ended == nil {
		return "goes on"
	}
	return display.Span(r.Ended.Sub(r.Started))
}

func (p *program) recordingsFetchCommand() *cobra.Command {
	var file, reason string
	var bare bool
	c := &cobra.Command{
		Use:   "fetch RECORDING -o FILE",
		Short: "Save a recording as one file that verifies offline",
		Long: `Save the evidence pack of a recording: the recording itself, the request and the grant
with the sign-ins that prove them, and the broker's countersignatures. The one file can
be checked by anybody who has the site's trust bundle, without an account or a network.
With --recording-only it is the recording alone.`,
		Example:           "  sallyport recordings fetch V-aaaaaaaaaaaaaaaaaaaaaaaaaa -o evidence.sally\n  sallyport verify evidence.sally",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRecordings,
		RunE: func(c *cobra.Command, args []string) error {
			if file == "" {
				return usage("It is not said where to save the recording").WithNext("Add -o FILE.")
			}
			who, id, err := p.aboutRecording(args[0])
			if err != nil {
				return err
			}
			fetch := who.broker.PackFor
			if bare {
				fetch = who.broker.RecordingFor
			}
			n, err := p.fetch(c.Context(), func(ctx context.Context, id string, w io.Writer) (int64, error) { return fetch(ctx, id, reason, w) }, id, file)
			if err != nil {
				return err
			}
			return p.answer(map[string]any{"id": id, "file": file, "bytes": n}, func() error {
				p.say("Saved %s, %s. Check it with: sallyport verify %s", file, display.Size(n), file)
				return nil
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why you take it out; stands in the hospital's audit log")
	c.Flags().BoolVar(&bare, "recording-only", false, "save the recording without papers and countersignatures")
	// Shadows the global -o: here it names the file, and --json asks for JSON.
	c.Flags().StringVarP(&file, "output", "o", "", "the file to write")
	return c
}

// fetcher brings a file from the broker.
type fetcher func(ctx context.Context, id string, w io.Writer) (int64, error)

// fetch saves the container under its name only when it is complete.
func (p *program) fetch(ctx context.Context, fetch fetcher, id, file string) (int64, error) {
	f, err := durable.Create(file)
	if err != nil {
		return 0, err
	}
	defer f.Abort()
	n, err := fetch(ctx, id, f)
	if err != nil {
		return n, err
	}
	return n, f.Commit()
}

func (p *program) aboutRecording(id string) (signedIn, string, error) {
	if _, err := session.ParseRecordingID(id); err != nil {
		return signedIn{}, "", err
	}
	who, err := p.session()
	return who, id, err
}

// download brings a recording into a temporary file that the returned func removes.
func (p *program) download(ctx context.Context, id string, fetch fetcher) (f *os.File, size int64, done func(), err error) {
	f, err = os.CreateTemp("", "sallyport-recording-*")
	if err != nil {
		return nil, 0, nil, fmt.Errorf("make room for the recording: %w", err)
	}
	done = func() { _ = f.Close(); _ = os.Remove(f.Name()) }
	size, err = fetch(ctx, id, f)
	if err != nil {
		done()
		return nil, 0, nil, err
	}
	return f, size, done, nil
}
