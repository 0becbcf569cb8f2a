package main

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

func (p *program) auditProveCommand() *cobra.Command {
	var file string
	c := p.signed(&cobra.Command{
		Use:     "prove EVENT [-o FILE]",
		Short:   "Print one event with the proof that it is in the log",
		Long:    "Print one event, named as in \"audit tail\", with the proof that it is in the log: a small text that \"sallyport verify FILE\" checks offline. With -o it goes into a file. A number alone is looked for in the logs of all of the broker's nodes.",
		Example: "  sallyport audit prove 4711 -o event-4711.proof\n  sallyport audit prove b/4711 -o event-4711.proof\n  sallyport verify event-4711.proof",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, who signedIn, args []string) error {
		node, number := path.Split(args[0])
		index, err := strconv.ParseInt(number, 10, 64)
		if err != nil || index < 0 {
			return usage("%.40q is not the number of an event", args[0]).WithNext("See the numbers with: sallyport audit tail")
		}
		proof, err := p.proveEvent(ctx, who, strings.TrimSuffix(node, "/"), index)
		if err != nil {
			return err
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

// proveEvent finds an event in whichever log has it, and checks its proof.
func (p *program) proveEvent(ctx context.Context, who signedIn, node string, index int64) (witness.Inclusion, error) {
	logs, err := p.logs(ctx, who)
	if err != nil {
		return witness.Inclusion{}, err
	}
	var found []witness.Inclusion
	var names []string
	none := error(usage("No audit log of a node %.60q can be read", node).WithNext("See the events with: sallyport audit tail"))
	for _, l := range logs {
		if node != "" && node != l.Origin && node != path.Base(l.Origin) {
			continue
		}
		answer, err := client.AuditProof.Where(ctx, who.broker, url.Values{"log": {l.Origin}}, strconv.FormatInt(index, 10))
		if session.KindOf(err) == session.Invalid {
			none = err // not in this one
			continue
		}
		if err != nil {
			return witness.Inclusion{}, err
		}
		proof, err := soundProof(answer.Proof, l.Origin, index)
		if err != nil {
			return proof, badLog("The broker's proof proves nothing", err)
		}
		found, names = append(found, proof), append(names, path.Base(l.Origin)+"/"+strconv.FormatInt(index, 10))
	}
	switch len(found) {
	case 0:
		return witness.Inclusion{}, none
	case 1:
		return found[0], nil
	}
	return witness.Inclusion{}, usage("There is an event %d in %d of the broker's logs", index, len(found)).WithNext("Name the one to prove: " + strings.Join(names, " or ") + ".")
}

// soundProof reads a proof that must be of an event in a log.
func soundProof(text []byte, origin string, index int64) (witness.Inclusion, error) {
	proof, err := witness.ParseInclusion(text)
	if err == nil && proof.Index != index {
		err = fmt.Errorf("it is about event %d", proof.Index)
	}
	if err != nil {
		return proof, err
	}
	at, err := proof.Included(nil)
	if err == nil && at.Origin != origin {
		err = fmt.Errorf("it is about the log %s", at.Origin)
	}
	return proof, err
}
