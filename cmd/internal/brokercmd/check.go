package brokercmd

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func checkCommand() *cobra.Command {
	return operator.Check(&cobra.Command{
		Short: "Read the configuration, look at what it needs, and say all that is missing",
		Long: `Read the configuration and look at what it needs: the web's certificate (there, of its
key, for the name in url, valid today), the state directory and the vault, the secrets, the
store and what its rules allow, and whether the CA and the jump host key are those of the
other nodes that run on the same store. Identity providers that answer are asked whether
they name people as configured. All that is missing is said at once. When root runs
this, it looks as the state directory's owner.`,
	}, broker.Ready)
}
