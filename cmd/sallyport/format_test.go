package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/session"
)

// paperFormat stands in for the container: a first line with the verdict, then one
// JSON event per line.
type paperFormat struct{}

type paperRecording struct{ lines *bufio.Scanner }

func (paperFormat) Open(r io.ReaderAt, size int64) (openRecording, error) {
	s := bufio.NewScanner(io.NewSectionReader(r, 0, size))
	s.Scan()
	return paperRecording{s}, nil
}

func (t paperRecording) Next() (session.Event, error) {
	var e session.Event
	if !t.lines.Scan() {
		return e, io.EOF
	}
	return e, json.Unmarshal(t.lines.Bytes(), &e)
}

func (paperRecording) Close() error { return nil }

func (paperFormat) Verify(r io.ReaderAt, size int64, trust []session.Trust) verdict {
	data := make([]byte, size)
	_, _ = r.ReadAt(data, 0)
	word, _, _ := bytes.Cut(data, []byte("\n"))
	v := verdict{Result: string(word), Reason: "said by the first line", Explain: []string{fmt.Sprintf("%s, by %d bundles.", word, len(trust))}}
	if v.Result == "tampered" {
		segment, offset := 2, int64(4711)
		v.Segment, v.Offset = &segment, &offset
	}
	return v
}

func (paperFormat) Export(w io.Writer, t openRecording, _ cast.Options) error {
	for {
		e, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Kind == session.Output {
			line, _ := json.Marshal([]any{float64(e.At) / 1e6, "o", string(e.Data)})
			fmt.Fprintf(w, "%s\n", line)
		}
	}
}

// paper writes such a recording.
func paper(verdict string, events ...session.Event) []byte {
	b := []byte(verdict + "\n")
	for _, e := range events {
		line, _ := json.Marshal(e)
		b = append(append(b, line...), '\n')
	}
	return b
}
