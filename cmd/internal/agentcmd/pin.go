package agentcmd

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/agent/console/page"
)

func pinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pin",
		Short: "Print what may be kept of a PIN for the agent's page; the PIN comes from standard input",
		Long: `Print what may be kept of a PIN for the agent's own page. The PIN is read from standard
input, in a terminal without showing it. Put the line into a file of mode 0600 and name
that as console.pin in the configuration.`,
		Example: "  sallyport-agent pin >/etc/sallyport/console.pin",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pin, err := readPIN(cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			kept, err := page.HashPIN(pin)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), kept)
			return err
		},
	}
}

func readPIN(in io.Reader, ask io.Writer) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(ask, "PIN: ")
		typed, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(ask)
		return string(typed), err
	}
	line, err := bufio.NewReader(io.LimitReader(in, 1<<10)).ReadString('\n')
	if err == io.EOF {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}
