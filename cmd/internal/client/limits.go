package client

import "time"

const (
	maxAnswer = 16 << 20         // bytes of an answer that is no recording
	callTime  = 45 * time.Second // longer than the longest wait the broker offers
	maxWait   = 30 * time.Second // the longest a broker holds a question that waits for a change
	maxPage   = 500              // entries that are asked for at once

	maxMessage = 64 << 10 // bytes of a message on a stream; the broker sends less
	attachURL  = "/api/v1/attach/ws"
)
