package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
)

func (p *program) recordingsCommand() *cobra.Command {
	return noun(&cobra.Command{
		Use:     "recordings",
		Aliases: []string{"recording"},
		Short:   "List, replay, check, review and take out recordings",
		Long: `List, replay, check and take out recordings. There is one per connection to a scanner,
several in a session. Auditors and approvers see their site's, engineers their own.
What the engineer typed is sealed for the hospital; replays show what the scanner answered.`,
	}, p.recordingsListCommand(), p.recordingsFetchCommand(), p.recordingsPlayCommand(), p.recordingsVerifyCommand(),
		p.recordingsExportCommand(), p.recordingsReviewCommand())
}

// download brings a recording into a temporary file that the returned func removes.
func download(ctx context.Context, who signedIn, from client.File, id, reason string) (f *os.File, size int64, done func(), err error) {
	f, err = os.CreateTemp("", "sallyport-recording-*")
	if err != nil {
		return nil, 0, nil, fmt.Errorf("make room for the recording: %w", err)
	}
	done = func() { _ = f.Close(); _ = os.Remove(f.Name()) }
	size, err = from.Copy(ctx, who.broker, id, reason, f)
	if err != nil {
		done()
		return nil, 0, nil, err
	}
	return f, size, done, nil
}
