package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/recordings/cast"
)

func (p *program) recordingsExportCommand() *cobra.Command {
	var format, file string
	var at time.Duration
	var typed withInput
	var names []string
	for _, f := range cast.Formats() {
		names = append(names, string(f))
	}
	names = append(names, consoleFormats()...)
	c := p.onRecording(&cobra.Command{
		Use:   "export RECORDING|FILE --format asciicast-v2",
		Short: "Write a recording for another player",
		Long: `Write a recording to standard output in the format of another player, as a transcript
(text) or as events, one JSON object per line (json). It shows what the scanner answered;
what was typed stays sealed unless --with-input --identity FILE opens it. An export proves
nothing: keep the fetched file as evidence.

Of a console it is a picture of a moment (png, with --at), pictures of the whole session in
one (contact-sheet, a PNG), or a video (webm, mp4) that ffmpeg on this machine writes; pauses
in it are cut short. These go to the file of -o.`,
		Example: "  sallyport recordings export V-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason \"Complaint 12\" --format asciicast-v2 > session.cast\n  sallyport recordings export V-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason \"Complaint 12\" --format png --at 12.5s -o moment.png",
	}, &typed, func() error {
		if !slices.Contains(names, format) {
			return usage("%.40q is not a format to export", format).WithNext("Use --format with one of " + strings.Join(names, ", ") + ".")
		}
		if slices.Contains(consoleFormats(), format) {
			return forConsole(file, at, typed.wanted)
		}
		if file != "" || at != 0 {
			return usage("Only pictures and videos of consoles have --at and -o").WithNext("Send this export to a file: ... --format " + format + " > FILE.")
		}
		if isTerminal(p.stdout) {
			return usage("An export is a file for another program").WithNext("Send it to one: sallyport recordings export ID --format asciicast-v2 > session.cast")
		}
		return nil
	}, func(ctx context.Context, t openRecording) error {
		if slices.Contains(consoleFormats(), format) {
			return p.exportConsole(ctx, t, format, at, file)
		}
		return p.format.Export(p.stdout, t, cast.Options{Format: cast.Format(format), Input: typed.wanted})
	})
	c.Flags().StringVar(&format, "format", "asciicast-v2", "the format: "+strings.Join(names, ", "))
	c.Flags().DurationVar(&at, "at", 0, "of a console, the moment of a png, for example 12.5s")
	// Shadows the global -o, as in fetch.
	c.Flags().StringVarP(&file, "output", "o", "", "of a console, the file to write")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return c
}
