package mirror

import (
	"slices"
	"strings"
	"testing"
)

// shows is the text of a mirror's lines, and where its cursor is.
func shows(m *Mirror) (lines []string, x, y int) {
	for _, line := range cells(m) {
		var b strings.Builder
		for _, c := range line {
			b.WriteString(c.Content)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	pos := *m.at()
	return lines, pos.X, pos.Y
}

// What xterm.js 6 shows of the same bytes, when it wraps nothing anew. A size stands
// between two pieces: the terminal gets it there.
func TestShowsWhatThePageShows(t *testing.T) {
	for name, c := range map[string]struct {
		first      string
		cols, rows int // the size that comes then; none: 0
		then       string
		want       []string
		x, y       int
	}{
		"a wide character that does not fit": {first: "abc日本日本", want: []string{"abc日本", "日本", "", ""}, x: 4, y: 1},
		"a line full of wide characters":     {first: "日本日本x", want: []string{"日本日本", "x", "", ""}, x: 1, y: 1},
		"no room and no wrap":                {first: "\x1b[?7labcdefg日", want: []string{"abcdefg", "", "", ""}, x: 7, y: 0},
		"the rest of a full line":            {first: "abcdefgh\x1b[K\r\nx", want: []string{"abcdefgh", "x", "", ""}, x: 1, y: 1},
		"the rest of a screen":               {first: "\r\nbelow\x1b[Habcdefgh\x1b[J", want: []string{"abcdefgh", "", "", ""}, x: 7, y: 0},
		"the other screen":                   {first: "\r\nab\x1b[?1049hcd", want: []string{"", "  cd", "", ""}, x: 4, y: 1},
		"fewer lines":                        {first: "1\r\n2\r\n3\r\n4", cols: 8, rows: 2, want: []string{"3", "4"}, x: 1, y: 1},
		"fewer lines, none below":            {first: "1\r\n2\r\n3\r\n4\x1b[2;1H", cols: 8, rows: 2, want: []string{"1", "2"}, x: 0, y: 1},
		"lines come back":                    {first: "1\r\n2\r\n3\r\n4\r\n5\r\n6", cols: 8, rows: 5, want: []string{"2", "3", "4", "5", "6"}, x: 1, y: 4},
		"what was cleared does not":          {first: "1\r\n2\x1b[2J\x1b[4;1H6", cols: 8, rows: 5, want: []string{"", "", "", "6", ""}, x: 1, y: 3},
		"a line that was cut":                {first: "abcdefgh\r\n日本日本", cols: 5, rows: 4, then: "\x1b[H", want: []string{"abcde", "日本", "", ""}},
		"fewer lines of the other screen":    {first: "main\x1b[?1049h\x1b[H1\r\n2\r\n3\r\n4", cols: 8, rows: 3, then: "", want: []string{"2", "3", "4"}, x: 1, y: 2},
		"and the main one behind it":         {first: "1\r\n2\r\n3\r\n4\x1b[?1049h", cols: 8, rows: 3, then: "\x1b[?1049l", want: []string{"2", "3", "4"}, x: 1, y: 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(8, 4)
			m.Write([]byte(c.first))
			if c.cols > 0 {
				m.Resize(c.cols, c.rows)
			}
			m.Write([]byte(c.then))
			lines, x, y := shows(m)
			if !slices.Equal(lines, c.want) || x != c.x || y != c.y {
				t.Errorf("shows %q, cursor %d,%d; the page %q, %d,%d", lines, x, y, c.want, c.x, c.y)
			}
		})
	}
}
