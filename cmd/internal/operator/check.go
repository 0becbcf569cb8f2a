package operator

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// checked is the answer of check.
type checked struct {
	Usable   bool      `json:"usable"`
	Problems []problem `json:"problems,omitempty"`
	Notes    []string  `json:"notes,omitempty"` // what could not be looked at, and what is merely to be known
}

type problem struct {
	Message string `json:"message"`
	Next    string `json:"next,omitempty"`
}

// Check completes the command that reads a configuration, looks at all that the program
// will need, and says everything that is missing at once. look changes nothing that stays.
func Check[C any, P pointer[C]](cmd *cobra.Command, look func(ctx context.Context, cfg C) (missing []error, notes []string)) *cobra.Command {
	cmd.Use, cmd.Args = "check", cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := LoadOwned[C, P](cmd)
		if err != nil {
			return err
		}
		missing, notes := look(cmd.Context(), cfg)
		c := checked{Notes: notes}
		c.take(missing)
		if err := Tell(cmd, c, tellChecked); err != nil || c.Usable {
			return err
		}
		return session.Errorf(session.Invalid, "The configuration can be read, and %d of the things that it needs are missing", len(missing)).
			WithNext("Mend what is listed, then run check again.")
	}
	return cmd
}

func (c *checked) take(missing []error) {
	c.Usable = len(missing) == 0
	for _, err := range missing {
		p := problem{Message: err.Error()}
		var e *session.Error
		if errors.As(err, &e) {
			p.Next = e.Next
		}
		c.Problems = append(c.Problems, p)
	}
}

func tellChecked(out io.Writer, c checked) {
	for _, p := range c.Problems {
		fmt.Fprintf(out, "missing: %s\n", wording.Sentence(wording.Clean(p.Message)))
		if p.Next != "" {
			fmt.Fprintf(out, "         %s\n", wording.Clean(p.Next))
		}
	}
	for _, n := range c.Notes {
		fmt.Fprintf(out, "note:    %s\n", wording.Sentence(wording.Clean(n)))
	}
	if c.Usable {
		fmt.Fprintln(out, "The configuration can be used.")
	}
}
