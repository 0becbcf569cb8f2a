package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func (p *program) recordingsReviewCommand() *cobra.Command {
	var a api.Attestation
	c := about(p, session.ParseRecordingID, p.recordings(), &cobra.Command{
		Use:   "review RECORDING --attest as-agreed|concern",
		Short: "Say of a recording whether all was as agreed",
		Long: `Say of a recording whether all was as agreed. Approvers and auditors of the site do
this, never the engineer. A review stands in the audit log under your name and stays.
A concern says in a comment what it is about.`,
		Example: `  sallyport recordings review V-aaaaaaaaaaaaaaaaaaaaaaaaaa --attest as-agreed
  sallyport recordings review V-aaaaaaaaaaaaaaaaaaaaaaaaaa --attest concern --comment "a log was taken that nobody named"`,
	}, func(ctx context.Context, who signedIn, id string) error {
		r, err := client.Review.Post(ctx, who.broker, a, id)
		return p.told(r, err, func() { p.say("Reviewed %s: %s.", id, strings.ReplaceAll(a.Attestation, "-", " ")) })
	})
	c.PreRunE = func(*cobra.Command, []string) error {
		switch {
		case a.Attestation != "as-agreed" && a.Attestation != "concern":
			return usage("It is not said whether all was as agreed").WithNext("Add --attest as-agreed, or --attest concern --comment \"...\".")
		case a.Attestation == "concern" && !wording.Says(a.Comment):
			return usage("It is not said what the concern is about").WithNext("Add --comment \"...\".")
		}
		return nil
	}
	c.Flags().StringVar(&a.Attestation, "attest", "", "as-agreed or concern")
	c.Flags().StringVar(&a.Comment, "comment", "", "what you want to say about it, at most 1000 characters")
	_ = c.RegisterFlagCompletionFunc("attest", cobra.FixedCompletions([]string{"as-agreed", "concern"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}
