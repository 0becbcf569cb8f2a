package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// What the verbs have in common. A verb is one command in a file of its name.

// noun is a word that only has verbs.
func noun(c *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	c.Args = cobra.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(verbs...)
	return c
}

// signed is a verb of somebody who is signed in; it takes no arguments where nothing
// else is said.
func (p *program) signed(c *cobra.Command, do func(ctx context.Context, who signedIn, args []string) error) *cobra.Command {
	if c.Args == nil {
		c.Args = cobra.NoArgs
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		who, err := p.session()
		if err != nil {
			return err
		}
		return do(c.Context(), who, args)
	}
	return c
}

// about is a verb on one thing whose id is checked before anybody is asked.
func about[ID any](p *program, parse func(string) (ID, error), offers completer, c *cobra.Command,
	do func(ctx context.Context, who signedIn, id string) error) *cobra.Command {
	c.Args, c.ValidArgsFunction = cobra.ExactArgs(1), offers
	p.signed(c, func(ctx context.Context, who signedIn, args []string) error { return do(ctx, who, args[0]) })
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, err := parse(args[0]); err != nil {
			return err
		}
		return run(c, args)
	}
	return c
}

// reasoned adds --reason to a verb that is refused without one.
func withReason(c *cobra.Command, reason *string, what, missing, example string) *cobra.Command {
	c.Flags().StringVar(reason, "reason", "", what)
	c.PreRunE = func(*cobra.Command, []string) error {
		if *reason = strings.TrimSpace(*reason); !wording.Says(*reason) {
			return usage("%s", missing).WithNext(`Add --reason "` + example + `", for example.`)
		}
		return nil
	}
	return c
}

// ls is how a list is named everywhere.
func ls(short string) *cobra.Command {
	return &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: short, Args: cobra.NoArgs}
}

// table is a list as people read it.
type table[T any] struct {
	none   string // what is said of an empty one
	header []string
	row    func(T) []string
}

// lists is the verb that shows all of a list of the broker's.
func lists[T any](p *program, short string, from client.List[T], t table[T]) *cobra.Command {
	return p.signed(ls(short), func(ctx context.Context, who signedIn, _ []string) error {
		list, err := from.All(ctx, who.broker)
		if err != nil {
			return err
		}
		return t.show(p, list)
	})
}

func (t table[T]) show(p *program, list []T) error {
	return p.answer(list, func() error {
		if len(list) == 0 {
			p.say("%s", t.none)
			return nil
		}
		var rows [][]string
		for _, v := range list {
			rows = append(rows, t.row(v))
		}
		return display.Table(p.stdout, t.header, rows)
	})
}

// answer writes v as JSON, or calls words.
func (p *program) answer(v any, words func() error) error {
	if p.asJSON() {
		return display.JSON(p.stdout, v)
	}
	return words()
}

// told ends a verb: with its error, or with v as JSON or in words.
func (p *program) told(v any, err error, words func()) error {
	if err != nil {
		return err
	}
	return p.answer(v, func() error { words(); return nil })
}

// toldFacts is told for a few facts.
func (p *program) toldFacts(v any, err error, facts func() [][2]string) error {
	if err != nil {
		return err
	}
	return p.answer(v, func() error { return display.Facts(p.stdout, facts()) })
}

// toldLines is told for lines that are the answer.
func (p *program) toldLines(v any, lines []string) error {
	return p.told(v, nil, func() {
		for _, line := range lines {
			p.print("%s", line)
		}
	})
}

// called is somebody with where they signed in: their name, and the address or the subject.
func called(p session.Person) string {
	who := strings.TrimPrefix(p.Name+", ", ", ") + p.Shown()
	if p.Email != "" {
		who += ", signed in at " + p.Host()
	}
	return who
}

func joined[T ~string](list []T) string {
	var words []string
	for _, v := range list {
		words = append(words, string(v))
	}
	return strings.Join(words, ", ")
}
