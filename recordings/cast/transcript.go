package cast

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// writeText writes a transcript: what was on the screen as plain lines, each with the
// time at which it began, and what happened between brackets.
func writeText(w io.Writer, src Source, o Options) error {
	t := transcript{out: bufio.NewWriter(w), options: o, shown: terminal.NewText(), typed: map[uint32]*line{}}
	h := src.Header()
	fmt.Fprintf(t.out, "%s %s/%s %s\n", h.Recording, h.Asset, h.Service, h.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	for {
		e, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("write a transcript: %w", err)
		}
		if o.Stream == 0 || e.Stream == o.Stream || e.Stream == 0 {
			t.take(e)
		}
	}
	t.flush()
	return t.out.Flush()
}

// line is what is being typed on a channel.
type line struct {
	plain stripper
	at    int64
	text  strings.Builder
}

type transcript struct {
	out     *bufio.Writer // keeps its first error until Flush
	options Options
	shown   *terminal.Text
	typed   map[uint32]*line
}

func (t *transcript) take(e session.Event) {
	if e.Kind == session.Input {
		if t.options.Input && len(e.Data) > 0 {
			t.hear(e)
		}
		return
	}
	words := happened(e)
	if words != "" {
		t.flush()
	}
	t.shown.Take(e)
	t.show()
	if words != "" {
		fmt.Fprintf(t.out, "[%s] [%s]\n", offset(e.At), wording.Clean(words))
	}
}

// show writes the lines that are whole.
func (t *transcript) show() {
	for _, l := range t.shown.Lines() {
		fmt.Fprintf(t.out, "[%s] %s\n", offset(l.At), l.Text)
	}
}

func (t *transcript) hear(e session.Event) {
	l := t.typed[e.Stream]
	if l == nil {
		l = &line{}
		t.typed[e.Stream] = l
	}
	for _, r := range l.plain.take([]byte(strings.ReplaceAll(string(e.Data), "\r", "\n"))) { // the return key
		if l.text.Len() == 0 {
			l.at = e.At
		}
		if r == '\n' || l.text.Len() > maxLine {
			t.end(l)
		}
		if r != '\n' {
			l.text.WriteRune(r)
		}
	}
}

func (t *transcript) end(l *line) {
	fmt.Fprintf(t.out, "[%s] typed: %s\n", offset(l.at), l.text.String())
	l.text.Reset()
}

// flush shows what has not ended.
func (t *transcript) flush() {
	t.shown.Flush()
	t.show()
	for _, stream := range slices.Sorted(maps.Keys(t.typed)) {
		if l := t.typed[stream]; l.text.Len() > 0 {
			t.end(l)
		}
	}
}

// happened says what an event was; empty for those that say nothing by themselves.
func happened(e session.Event) string {
	switch e.Kind {
	case session.Output, session.ErrorOutput, session.Input, session.Download, session.Upload, session.InputEnd:
		return ""
	}
	words := strings.ReplaceAll(KindWord(e.Kind), "-", " ")
	var detail map[string]any
	if json.Unmarshal(e.Data, &detail) != nil {
		return strings.TrimSpace(words + " " + string(e.Data))
	}
	if note, ok := detail["text"].(string); ok && e.Kind == session.Marker {
		return note
	}
	return strings.TrimSpace(words + " " + string(e.Data))
}

// offset is the time since the recording began, as 1:02:03.456.
func offset(micro int64) string {
	return fmt.Sprintf("%d:%02d:%02d.%03d", micro/3600e6, micro/60e6%60, micro/1e6%60, micro/1e3%1000)
}

// stripper leaves text, line feeds and tabs of a terminal's stream and drops all
// control sequences, also those that are split over chunks.
type stripper struct {
	text  text
	state int
}

const (
	stripText    = iota
	stripEscape  // after ESC
	stripCharset // after ESC and intermediates
	stripControl // inside CSI
	stripString  // inside OSC, DCS, APC, PM, SOS
	stripEnding  // inside one of those, after ESC
)

func (s *stripper) take(b []byte) string {
	var out strings.Builder
	for _, r := range s.text.take(b) {
		if s.step(r) {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// step reports whether a character is text.
func (s *stripper) step(r rune) bool {
	switch s.state {
	case stripEscape:
		s.escaped(r)
		return false
	case stripCharset:
		if r < 0x20 || r > 0x2f {
			s.state = stripText
		}
		return false
	case stripControl:
		switch {
		case r == 0x1b:
			s.state = stripEscape
		case r >= 0x40 && r <= 0x7e, r == 0x18, r == 0x1a, r == '\n', r > 0x7f:
			s.state = stripText
		}
		return r == '\n'
	case stripString, stripEnding:
		s.inString(r)
		return false
	}
	return s.plain(r)
}

func (s *stripper) plain(r rune) bool {
	switch r {
	case 0x1b:
		s.state = stripEscape
	case 0x9b:
		s.state = stripControl
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f:
		s.state = stripString
	}
	return r == '\n' || r == '\t' || !wording.Hostile(r)
}

func (s *stripper) escaped(r rune) {
	switch {
	case r == '[':
		s.state = stripControl
	case r == ']', r == 'P', r == '_', r == '^', r == 'X':
		s.state = stripString
	case r >= 0x20 && r <= 0x2f:
		s.state = stripCharset
	case r != 0x1b:
		s.state = stripText
	}
}

func (s *stripper) inString(r rune) {
	switch {
	case r == 0x07, r == 0x18, r == 0x1a, r == 0x9c:
		s.state = stripText
	case r == 0x1b:
		s.state = stripEnding
	case s.state == stripEnding && r == '\\':
		s.state = stripText
	case s.state == stripEnding: // the string was cut short by another sequence
		s.escaped(r)
	}
}

// Clean makes words of anybody fit for one line of a page or a terminal, at most so
// many characters of them.
func Clean(words string, most int) string {
	words = strings.TrimSpace(wording.Clean(words))
	n := 0
	for i := range words {
		if n++; n > most {
			return words[:i] + "…"
		}
	}
	return words
}
