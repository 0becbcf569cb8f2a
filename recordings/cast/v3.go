package cast

import (
	"encoding/json"
	"fmt"
	"io"
)

// v3 writes asciicast v3: like v2, but times are intervals since the event before,
// and the end has an event of its own. Intervals are whole microseconds, so that no
// rounding adds up.
// https://docs.asciinema.org/manual/asciicast/v3/
type v3 struct {
	w    io.Writer
	last int64
}

type v3head struct {
	Version   int    `json:"version"`
	Term      v3term `json:"term"`
	Timestamp int64  `json:"timestamp"`
	Title     string `json:"title"`
}

type v3term struct {
	Cols uint32 `json:"cols"`
	Rows uint32 `json:"rows"`
	Type string `json:"type,omitempty"`
}

func (c *v3) head(h head) error {
	b, err := json.Marshal(v3head{Version: 3, Term: v3term{h.cols, h.rows, h.term}, Timestamp: h.started.Unix(), Title: h.title})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.w, "%s\n", b)
	return err
}

func (c *v3) event(at int64, code, data string) error {
	gap := max(at-c.last, 0)
	c.last = max(at, c.last)
	text, err := quote(data)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.w, "[%d.%06d, %q, %s]\n", gap/1e6, gap%1e6, code, text)
	return err
}
