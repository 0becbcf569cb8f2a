// Command sallyport-broker is the meeting place: people sign in, ask and decide
// there, agents dial in, and streams pass through it unread.
package main

import (
	"os"

	"github.com/sallyport/sallyport/cmd/internal/brokercmd"
)

func main() { os.Exit(brokercmd.Main(os.Args[1:], os.Stdout, os.Stderr)) }
