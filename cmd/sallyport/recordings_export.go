package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/recordings/cast"
)

func (p *program) recordingsExportCommand() *cobra.Command {
	var format string
	var typed withInput
	var names []string
	for _, f := range cast.Formats() {
		names = append(names, string(f))
	}
	c := p.onRecording(&cobra.Command{
		Use:   "export RECORDING|FILE --format asciicast-v2",
		Short: "Write a recording for another player",
		Long: `Write a recording to standard output in the format of another player, as a transcript
(text) or as events, one JSON object per line (json). It shows what the scanner answered;
what was typed stays sealed unless --with-input --identity FILE opens it. An export proves
nothing: keep the fetched file as evidence.`,
		Example: "  sallyport recordings export V-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason \"Complaint 12\" --format asciicast-v2 > session.cast",
	}, &typed, func() error {
		if !slices.Contains(names, format) {
			return usage("%.40q is not a format to export", format).WithNext("Use --format with one of " + strings.Join(names, ", ") + ".")
		}
		if isTerminal(p.stdout) {
			return usage("An export is a file for another program").WithNext("Send it to one: sallyport recordings export ID --format asciicast-v2 > session.cast")
		}
		return nil
	}, func(_ context.Context, t openRecording) error {
		return p.format.Export(p.stdout, t, cast.Options{Format: cast.Format(format), Input: typed.wanted})
	})
	c.Flags().StringVar(&format, "format", "asciicast-v2", "the format: "+strings.Join(names, ", "))
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return c
}
