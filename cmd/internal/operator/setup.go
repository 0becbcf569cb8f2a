package operator

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/cmd/internal/config"
	"github.com/sallyport/sallyport/cmd/internal/setup"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Setup is what one of the programs asks on its first day.
type Setup[C any] struct {
	Questions []setup.Question
	Text      string // the configuration, with places for answers
	Look      func(ctx context.Context, cfg C) (missing []error, notes []string)
	Tell      func(a setup.Answers) []setup.Handout
}

// written is the answer of setup.
type written struct {
	Configuration string          `json:"configuration"` // the file
	Tell          []setup.Handout `json:"tell"`
	checked
}

// SetUp completes the command that asks, writes a configuration and looks at what it needs.
func SetUp[C any, P pointer[C]](cmd *cobra.Command, s Setup[C]) *cobra.Command {
	var answers string
	var set map[string]string
	var questions bool
	cmd.Use, cmd.Args = "setup", cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if questions {
			_, err := io.WriteString(cmd.OutOrStdout(), setup.Blank(s.Questions))
			return err
		}
		path, _ := cmd.Flags().GetString("config")
		if err := setup.Absent(path); err != nil {
			return err
		}
		a, err := answer(cmd, s.Questions, answers, set)
		if err != nil {
			return err
		}
		w := written{Configuration: path, Tell: s.Tell(a)}
		cfg, err := compose[C, P](path, s.Text, a)
		if err != nil {
			return err
		}
		var missing []error
		if err := AsOwner(P(&cfg).Directory(), cmd.Root().Name()); err != nil {
			missing = []error{err}
		} else {
			missing, w.Notes = s.Look(cmd.Context(), cfg)
		}
		w.take(missing)
		if err := Tell(cmd, w, tellWritten); err != nil || w.Usable {
			return err
		}
		return session.Errorf(session.Invalid, "The configuration is written, and %d of the things that it needs are missing", len(missing)).
			WithNext("Put in place what is listed, then: " + cmd.Root().Name() + " check")
	}
	cmd.Flags().StringVar(&answers, "answers", "", "a file with the answers, instead of questions")
	cmd.Flags().StringToStringVar(&set, "set", nil, "an answer as KEY=VALUE; may be given several times")
	cmd.Flags().BoolVar(&questions, "questions", false, "print all questions as a file of answers, and do nothing")
	return cmd
}

// answer gets the answers: from a file and flags, or else from who sits at the terminal.
func answer(cmd *cobra.Command, all []setup.Question, file string, set map[string]string) (setup.Answers, error) {
	given := setup.Answers{}
	if file != "" {
		var err error
		if given, err = setup.ReadAnswers(file); err != nil {
			return nil, err
		}
	}
	for key, v := range set {
		given[key] = v
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if file == "" && ok && term.IsTerminal(int(in.Fd())) {
		fmt.Fprintln(cmd.ErrOrStderr(), "Enter takes the answer in brackets. Nothing is written before the last question.")
		return setup.Ask(in, cmd.ErrOrStderr(), all, given)
	}
	return setup.Given(all, given)
}

// compose makes the configuration of answers, writes it once it can be read, and reads it.
func compose[C any, P pointer[C]](path, text string, a setup.Answers) (cfg C, err error) {
	made, err := setup.Render(text, a)
	if err != nil {
		return cfg, err
	}
	if err := config.Parse(path, made, P(&cfg)); err != nil {
		return cfg, &session.Error{Kind: session.Invalid, Message: "These answers make no configuration that can be used, and nothing was written: " + err.Error(), Next: "Give other answers."}
	}
	return cfg, setup.Write(path, made)
}

func tellWritten(out io.Writer, w written) {
	fmt.Fprintf(out, "Written: %s\n", w.Configuration)
	for _, t := range w.Tell {
		fmt.Fprintf(out, "\n%s\n", t.To)
		for _, l := range t.Lines {
			fmt.Fprintf(out, "  %s\n", strings.TrimRight(wording.Clean(l), " "))
		}
	}
	fmt.Fprintln(out)
	tellChecked(out, w.checked)
}
