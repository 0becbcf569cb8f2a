package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/wording"
)

// withInput is the wish to see what was typed. It takes the hospital's identity, and
// the broker keeps who wished it and why.
type withInput struct {
	wanted   bool
	identity string
	reason   string
}

func (w *withInput) flags(c *cobra.Command) {
	c.Flags().BoolVar(&w.wanted, "with-input", false, "also show what was typed; this is recorded under your name")
	c.Flags().StringVar(&w.identity, "identity", "", "file with the hospital's age identity that opens typed input")
	c.Flags().StringVar(&w.reason, "reason", "", "why you look at it; stands in the hospital's audit log, and is needed unless it is a file")
	_ = c.MarkFlagFilename("identity")
}

// open reads the identity; nil without the wish. Nothing is asked of anybody.
func (w *withInput) open() ([]age.Identity, error) {
	if !w.wanted {
		if w.identity != "" {
			return nil, usage("An identity is of no use without --with-input").WithNext("Add --with-input, or leave --identity out.")
		}
		return nil, nil
	}
	if w.identity == "" {
		return nil, usage("What was typed is sealed for the hospital").WithNext("Add --identity FILE with the hospital's age identity.")
	}
	if err := explained(w.reason); err != nil {
		return nil, err
	}
	data, err := durable.Read(w.identity, home.MaxFile)
	if err != nil {
		return nil, unreadable(w.identity, err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		return nil, &session.Error{Kind: session.Invalid, Message: "The file " + w.identity + " holds no age identity", Err: err,
			Next: "Use the file that the agent's enrolment wrote for the hospital."}
	}
	return ids, nil
}

// explained refuses to take a recording out without a reason.
func explained(reason string) error {
	if wording.Says(reason) {
		return nil
	}
	return usage("It is not said why the recording is taken out").WithNext(`Add --reason "Complaint 12", for example; it stands in the hospital's audit log.`)
}

// onRecording is a verb on one recording that is fetched and opened for it, or stands here in a
// file or a directory. check comes before anybody is asked.
func (p *program) onRecording(c *cobra.Command, typed *withInput, check func() error, do func(ctx context.Context, t openRecording) error) *cobra.Command {
	var ids []age.Identity
	typed.flags(c)
	c.PreRunE = func(*cobra.Command, []string) (err error) {
		if err = check(); err == nil {
			ids, err = typed.open()
		}
		return err
	}
	about(p, session.ParseRecordingID, p.recordings(), c, func(ctx context.Context, who signedIn, id string) error {
		t, done, err := p.open(ctx, who, id, *typed, ids)
		if err != nil {
			return err
		}
		defer done()
		return do(ctx, t)
	})
	fetched := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if info, err := os.Stat(args[0]); err == nil {
			return p.onFile(c.Context(), args[0], info, *typed, do)
		}
		if err := explained(typed.reason); err != nil {
			return err
		}
		return fetched(c, args)
	}
	return c
}

// onFile is a verb on a recording that was fetched, or on a recording's directory in a
// vault: nobody is asked, and what was typed is shown only where that is written down.
func (p *program) onFile(ctx context.Context, name string, info fs.FileInfo, typed withInput, do func(context.Context, openRecording) error) error {
	if typed.wanted {
		return session.Errorf(session.Refused, "What was typed is shown where the broker writes down who looked").
			WithNext("Name the recording by its id, V-..., in place of the file.")
	}
	if info.IsDir() {
		t, err := recordings.Follow(name)
		if errors.Is(err, fs.ErrNotExist) {
			return session.Errorf(session.Invalid, "The directory %s holds no recording", name).
				WithNext("Name the directory that holds header, seg-000000 and so on.")
		}
		if err != nil {
			return err
		}
		defer t.Close()
		p.vouched(t)
		return do(ctx, t)
	}
	f, err := os.Open(name)
	if err != nil {
		return unreadable(name, err)
	}
	defer f.Close()
	t, err := p.format.Open(f, info.Size())
	if err != nil {
		return err
	}
	defer t.Close()
	p.vouched(t)
	return do(ctx, t)
}

// locked is a recording whose typed input can be opened.
type locked interface {
	Unlock(identity age.Identity) error
}

// open fetches a recording and opens it, with what was typed when that is wanted: the
// viewing is noted before the first typed byte is there. The func frees it.
func (p *program) open(ctx context.Context, who signedIn, id string, typed withInput, ids []age.Identity) (openRecording, func(), error) {
	f, size, done, err := download(ctx, who, client.RecordingFile, id, typed.reason)
	if err != nil {
		return nil, nil, err
	}
	t, err := p.format.Open(f, size)
	if err != nil {
		done()
		return nil, nil, err
	}
	free := func() { _ = t.Close(); done() }
	if err := asked(id, t.Header().Recording); err != nil {
		free()
		return nil, nil, err
	}
	p.vouched(t)
	if typed.wanted {
		if err := p.unlock(ctx, who, id, t, ids, typed.reason); err != nil {
			free()
			return nil, nil, err
		}
	}
	return t, free, nil
}

func (p *program) unlock(ctx context.Context, who signedIn, id string, t openRecording, ids []age.Identity, reason string) error {
	l, ok := t.(locked)
	if !ok {
		return session.Errorf(session.Refused, "This recording holds no typed input that could be opened")
	}
	var err error
	for _, identity := range ids {
		if err = l.Unlock(identity); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	if _, err := client.Viewed.Post(ctx, who.broker, api.Viewing{Input: true, Reason: reason}, id); err != nil {
		return err
	}
	p.warn("Recorded: %s looks at what was typed in %s, because: %s", who.login.Person.Email, id, reason)
	return nil
}
