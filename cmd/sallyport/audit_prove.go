package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session/durable"
)

func (p *program) auditProveCommand() *cobra.Command {
	var file string
	c := p.signed(&cobra.Command{
		Use:     "prove EVENT [-o FILE]",
		Short:   "Print one event with the proof that it is in the log",
		Long:    "Print one event, named by its number in \"audit tail\", with the proof that it is in the log: a small text that \"sallyport verify FILE\" checks offline. With -o it goes into a file.",
		Example: "  sallyport audit prove 4711 -o event-4711.proof\n  sallyport verify event-4711.proof",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, who signedIn, args []string) error {
		index, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || index < 0 {
			return usage("%.40q is not the number of an event", args[0]).WithNext("See the numbers with: sallyport audit tail")
		}
		answer, err := client.AuditProof.Get(ctx, who.broker, strconv.FormatInt(index, 10))
		if err != nil {
			return err
		}
		proof, err := witness.ParseInclusion(answer.Proof)
		if err == nil && proof.Index != index {
			err = fmt.Errorf("it is about event %d", proof.Index)
		}
		if err == nil {
			_, err = proof.Included(nil)
		}
		if err != nil {
			return badLog("The broker's proof proves nothing", err)
		}
		if file == "" { // base64 and hashes: nothing in it can drive a terminal
			_, err := p.stdout.Write(proof.Text())
			return err
		}
		return p.told(map[string]any{"index": index, "file": file}, durable.Write(file, proof.Text()), func() {
			p.say("Saved %s. Check it with: sallyport verify %s", file, file)
		})
	})
	// Shadows the global -o: here it names the file, and --json asks for JSON.
	c.Flags().StringVarP(&file, "output", "o", "", "the file to write (default: print it)")
	return c
}
