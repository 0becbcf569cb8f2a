package terminal

import "github.com/sallyport/sallyport/session"

// Standing is the text of the terminal that was drawn on last, row by row, after events that
// follow what stood; none where there is no terminal. cols is how wide it is.
func Standing(all []Screen, events []session.Event) (rows []string, cols int) {
	t := TextFrom(all, nil, 0)
	var last *writing
	for _, w := range t.open {
		if w.grid != nil && (last == nil || w.stream < last.stream) {
			last = w
		}
	}
	for _, e := range events {
		t.Take(e)
		t.done = nil
		if w := t.open[source{e.Stream, session.Output}]; w != nil && w.grid != nil {
			last = w
		}
	}
	if last == nil || last.grid == nil {
		return nil, 0
	}
	for y := range last.grid.lines {
		rows = append(rows, last.grid.text(y))
	}
	return rows, last.grid.cols
}
