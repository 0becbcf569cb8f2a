package page

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
)

// live sends the board again whenever it looks different. Who may see what is asked each
// time; a page that was shown to somebody whose sign-in is over is told to load again.
func (p *page) live(w http.ResponseWriter, r *http.Request) {
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		p.refuse(w, session.Errorf(session.Refused, "Too many follow this page.").WithNext("Load the page again to see how things stand."))
		return
	}
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	var last string
	var sent time.Time
	for {
		v := p.viewOf(r, false)
		if r.URL.Query().Has("signed") != v.Signed {
			_, _ = w.Write([]byte("event: over\ndata: \n\n"))
			return
		}
		var board strings.Builder
		if err := templates.ExecuteTemplate(&board, "board", v); err != nil {
			p.cfg.Log.Error("the board cannot be shown", "err", err)
			return
		}
		if now := time.Now(); board.String() != last || now.Sub(sent) >= beatEvery {
			_ = out.SetWriteDeadline(now.Add(writeWithin))
			if _, err := w.Write(event(board.String())); err != nil || out.Flush() != nil {
				return
			}
			last, sent = board.String(), now
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-p.over:
			return
		}
	}
}

// event is a text as one server-sent event.
func event(text string) []byte {
	var b bytes.Buffer
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "data: %s\n", strings.TrimRight(line, "\r\n"))
	}
	b.WriteByte('\n')
	return b.Bytes()
}
