// Command sallyport-agent is the hospital's side: it dials out to the broker,
// verifies grants, logs in to devices, records, and ends what must end.
package main

import (
	"os"

	"github.com/sallyport/sallyport/cmd/internal/agentcmd"
)

func main() { os.Exit(agentcmd.Main(os.Args[1:], os.Stdout, os.Stderr)) }
