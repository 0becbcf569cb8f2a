package terminal

// sequence does what a control sequence does with text.
func (w *writing) sequence(s *sequences, final rune) {
	g := w.grid
	switch {
	case g == nil:
	case s.private == '?' && (final == 'h' || final == 'l'):
		for i := range s.params {
			w.mode(s.params[i], final == 'h')
		}
	case s.private != 0 && !(s.private == '?' && (final == 'J' || final == 'K')):
	case within(final, "ABEFHJLMSTdefrsu"):
		w.vertically(s, final)
	case !within(final, "KP@Xb") || w.pay(g.cols+g.rows):
		g.along(s, final)
	}
}

func within(r rune, all string) bool {
	for _, c := range all {
		if c == r {
			return true
		}
	}
	return false
}

// mode shows the alternate screen or the main one; of other modes only one moves text.
func (w *writing) mode(mode int, on bool) {
	g := w.grid
	if g == nil { // the mode before was too much
		return
	}
	switch mode {
	case 7:
		g.unwrapped = !on
	case 47, 1047, 1049:
		if on == (g.main != nil) || !w.pay(g.rows*(g.cols+8)) {
			return
		}
		if w.draws() {
			w.show(-1)
		} else {
			w.end()
		}
		g.alternate(on)
	}
}

// along moves and changes what is in the cursor's row.
func (g *grid) along(s *sequences, final rune) {
	n := s.param(0, 1)
	switch final {
	case 'C', 'a':
		g.move(g.x+n, g.y)
	case 'D':
		g.move(g.x-n, g.y)
	case 'G', '`':
		g.move(n-1, g.y)
	case 'I':
		g.move((g.x/8+min(n, g.cols))*8, g.y)
	case 'Z':
		g.move(((g.x+7)/8-min(n, g.cols))*8, g.y)
	case 'K':
		g.wipeBy(s.param(0, 0))
	case 'P':
		g.remove(n)
	case '@':
		g.insert(n)
	case 'X':
		g.wipe(g.x, g.x+n)
	case 'b':
		for range min(n, g.cols) {
			if g.last != 0 {
				g.put(g.last)
			}
		}
	}
}

// scrolls says which rows scroll.
func (g *grid) scrolls(top, bottom int) {
	if bottom = min(bottom, g.rows); bottom == 0 {
		bottom = g.rows
	}
	if top < bottom {
		g.top, g.bottom = top-1, bottom-1
		g.move(0, 0)
	}
}

func (g *grid) wipeBy(how int) {
	switch how {
	case 0:
		if !g.wrap {
			g.wipe(g.x, g.cols)
		}
	case 1:
		g.wipe(0, g.x+1)
	case 2:
		g.wipe(0, g.cols)
	}
}

// vertically moves and changes rows: who does that draws.
func (w *writing) vertically(s *sequences, final rune) {
	g, n := w.grid, s.param(0, 1)
	if !w.pay(w.cost(final, n, s.param(0, 0))) {
		return
	}
	switch final {
	case 's':
		g.saved = [2]int{g.x, g.y}
		return
	case 'J':
		w.clear(s.param(0, 0))
		return
	}
	w.begin()
	switch final {
	case 'A':
		g.move(g.x, g.y-n)
	case 'B', 'e':
		g.move(g.x, g.y+n)
	case 'E':
		g.move(0, g.y+n)
	case 'F':
		g.move(0, g.y-n)
	case 'H', 'f':
		g.move(s.param(1, 1)-1, n-1)
	case 'd':
		g.move(g.x, n-1)
	case 'u':
		g.move(g.saved[0], g.saved[1])
	case 'r':
		g.scrolls(n, s.param(1, 0))
	case 'L', 'M':
		w.rows(final == 'L', n)
	case 'S':
		g.up(n)
	case 'T':
		g.shiftDown(g.top, n)
	}
}

// cost is what a sequence does at most.
func (w *writing) cost(final rune, n, how int) (cost int) {
	g := w.grid
	switch final {
	case 's':
		return 0
	case 'J':
		if how == 0 {
			return (g.rows - g.y) * g.cols * 2
		}
		return 2 * g.rows * g.cols
	case 'L', 'M', 'S', 'T':
		cost = min(n, g.rows) * (g.rows + g.cols)
	}
	if !w.draws() {
		cost += g.rows * g.cols
	}
	return cost
}

// rows inserts rows or takes them out.
func (w *writing) rows(in bool, n int) {
	g := w.grid
	if g.y < g.top || g.y > g.bottom {
		return
	}
	if in {
		g.shiftDown(g.y, n)
	} else {
		g.shiftUp(g.y, n)
	}
	g.move(0, g.y)
}

// clear makes a part of the screen blank. What stood and was not said is said before.
func (w *writing) clear(how int) {
	g := w.grid
	if how > 2 || !g.stands(how > 0) {
		return // nothing goes: shells do so before each prompt
	}
	w.begin()
	if how == 2 || how == 0 && g.y == 0 {
		w.show(-1)
	}
	switch how {
	case 0:
		g.wipeBy(0)
		g.erase(g.y+1, g.rows)
	case 1:
		g.erase(0, g.y)
		g.wipeBy(1)
	case 2:
		g.erase(0, g.rows)
	}
}
