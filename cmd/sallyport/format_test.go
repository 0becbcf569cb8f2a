package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/cast"
	"github.com/sallyport/sallyport/session"
)

// paperFormat stands in for the container: a first line with the verdict and, where it is
// not the usual one, the recording's name; then one JSON event per line.
type paperFormat struct{}

type paperRecording struct {
	lines  *bufio.Scanner
	header recordings.Header
}

func (t paperRecording) Header() recordings.Header { return t.header }

func (t paperRecording) SignedBy(trust []session.Trust) bool { return len(trust) > 0 }

// titled reads a first line.
func titled(line string) (verdict string, h recordings.Header) {
	verdict, name, _ := strings.Cut(line, " ")
	return verdict, recordings.Header{Recording: cmp.Or(name, session.ID{2}.Recording()), Site: "NGH", Agent: "SHA256:ngh"}
}

func (paperFormat) Open(r io.ReaderAt, size int64) (openRecording, error) {
	s := bufio.NewScanner(io.NewSectionReader(r, 0, size))
	s.Scan()
	_, h := titled(s.Text())
	return paperRecording{s, h}, nil
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
	line, _, _ := bytes.Cut(data, []byte("\n"))
	word, h := titled(string(line))
	v := verdict{Result: word, Reason: "said by the first line", Recording: h.Recording, Site: h.Site, Agent: h.Agent,
		Explain: []string{fmt.Sprintf("%s, by %d bundles.", word, len(trust))}}
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
