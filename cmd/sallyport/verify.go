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
			return p.judge(p.format.Verify(f, info.Size(), trust), false)
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
		return h.Signers()
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
	if err := p.toldLines(v, v.Explain); err != nil {
		return err
	}
	if v.Result == intact || v.Result == torn || v.Result == live && liveIsFine {
		return nil
	}
	return quietFailure{}
}
