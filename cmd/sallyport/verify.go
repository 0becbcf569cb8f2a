package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/session"
)

func (p *program) verifyCommand() *cobra.Command {
	var bundles []string
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a recording, or the proof of an audit event, offline and without an account",
		Long: `Check that a recording is what the hospital's agent signed, byte for byte. It asks
nobody and needs no account, only the site's trust bundle: an imported one, or the
one that --trust names. Status 0 means intact, or torn: sealed by the agent after it
was interrupted, with nothing lost unseen. Anything else is status 1.

A proof that "sallyport audit prove" wrote is told apart by its first line. It is
checked against the broker's key in the trust bundle.`,
		Example: "  sallyport verify evidence.sally\n  sallyport verify evidence.sally --trust northfield.json -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			trust, err := p.anchors(bundles)
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return unreadable(args[0], err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil || !info.Mode().IsRegular() {
				return unreadable(args[0], err)
			}
			if isProof(f) {
				return p.verifyProof(f, trust)
			}
			return p.judge(p.tapes.Verify(f, info.Size(), trust), false)
		},
	}
	c.Flags().StringSliceVar(&bundles, "trust", nil, "use this trust bundle instead of the imported ones")
	return c
}

// anchors are the bundles named, or else the imported ones.
func (p *program) anchors(files []string) ([]session.Trust, error) {
	if len(files) == 0 {
		h, err := p.home()
		if err != nil {
			return nil, err
		}
		return h.Trust()
	}
	var all []session.Trust
	for _, file := range files {
		t, err := p.readBundle(file)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// judge prints a verdict and turns it into the exit status.
func (p *program) judge(v verdict, liveIsFine bool) error {
	err := p.answer(v, func() error {
		for _, line := range v.Explain {
			p.print("%s", line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if v.Result == intact || v.Result == torn || v.Result == live && liveIsFine {
		return nil
	}
	return quietFailure{}
}

func (p *program) recordingsVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify RECORDING",
		Short: "Fetch a recording and check it against your trust bundle",
		Long: `Fetch a recording and check it against your trust bundle, as "sallyport verify" does
with a file. A recording that is listed live has no seal yet; live is status 0 then.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRecordings,
		RunE: func(c *cobra.Command, args []string) error {
			who, id, err := p.aboutRecording(args[0])
			if err != nil {
				return err
			}
			trust, err := who.home.Trust()
			if err != nil {
				return err
			}
			// The state is asked first: what is sealed meanwhile verifies as sealed.
			listed, err := who.broker.Recording(c.Context(), id)
			if err != nil {
				return err
			}
			f, size, done, err := p.download(c.Context(), id, who.broker.RecordingPack)
			if err != nil {
				return err
			}
			defer done()
			return p.judge(p.tapes.Verify(f, size, trust), listed.State == live)
		},
	}
}
