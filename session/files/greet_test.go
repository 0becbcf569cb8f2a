package files

import (
	"io"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session/files/packet"
)

// A freeze that comes while a transfer is being set up holds back the rest of that, too.
func TestSettingUpPassesTheGate(t *testing.T) {
	gate := &openGate{}
	more := make(chan int64, 1)
	server := func(ch ssh.Channel) {
		if _, err := packet.Read(ch, nil); err == nil {
			gate.mu.Lock()
			gate.shut = true
			gate.mu.Unlock()
			_, _ = ch.Write(packet.AppendVersion(nil, []packet.Extension{packet.Limits.Extension()}))
		}
		n, _ := io.Copy(io.Discard, ch)
		more <- n
	}
	_, err := dial(Config{Recorder: &tape{}, Gate: gate, Device: piped(server)}, nil)
	if n := <-more; err == nil || n != 0 {
		t.Errorf("%v, and %d bytes more reached the device", err, n)
	}
}
