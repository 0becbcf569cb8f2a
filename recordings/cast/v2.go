package cast

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// v2 writes asciicast v2: a JSON object on the first line, then one array of time,
// code and data per line. Times are seconds since the beginning.
// https://docs.asciinema.org/manual/asciicast/v2/
type v2 struct{ w io.Writer }

type v2head struct {
	Version   int               `json:"version"`
	Width     uint32            `json:"width"`
	Height    uint32            `json:"height"`
	Timestamp int64             `json:"timestamp"`
	Title     string            `json:"title"`
	Env       map[string]string `json:"env,omitempty"`
}

func (c *v2) head(h head) error {
	v := v2head{Version: 2, Width: h.cols, Height: h.rows, Timestamp: h.started.Unix(), Title: h.title}
	if h.term != "" {
		v.Env = map[string]string{"TERM": h.term}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.w, "%s\n", b)
	return err
}

func (c *v2) event(at int64, code, data string) error {
	text, err := quote(data)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.w, "[%d.%06d, %q, %s]\n", at/1e6, at%1e6, code, text)
	return err
}

// quote is a JSON string without the escapes that only web pages need.
func quote(s string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
