package shell

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/agent/engine/socket"
	"github.com/sallyport/sallyport/session/held"
)

// window is one browser that shows a terminal.
type window struct {
	*socket.Socket
	taken atomic.Bool     // another browser has its terminal
	files *fileOperations // the reader's; nil until it is asked about files
}

func newWindow(nc net.Conn, stall time.Duration, share *held.Share) *window {
	return &window{Socket: socket.New(nc, stall).Within(share)}
}
