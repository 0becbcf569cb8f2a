package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
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

// asked refuses another recording than the one that was asked for, whoever signed it.
func asked(id, came string) error {
	if came == id {
		return nil
	}
	return &session.Error{Kind: session.Invalid, Err: client.ErrFromBroker, Message: fmt.Sprintf("The broker answered with %.60q, and %s was asked for", came, id),
		Next: "Nothing was shown or saved. Tell your security contact."}
}

// vouched warns where nobody here knows who signs what is shown.
func (p *program) vouched(t openRecording) {
	trust, err := p.anchors(nil)
	if err != nil || !t.SignedBy(trust) {
		p.warn("Signer unknown: no trust bundle here names %s with the key of this recording, so what it shows may be made up.", cmp.Or(t.Header().Site, "its site"))
	}
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
