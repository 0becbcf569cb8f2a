package mirror

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// living is what lives on the heap.
func living() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// dearest are outputs that make each column take much.
func dearest() map[string]func(i int) string {
	marked := "é" + strings.Repeat("\u0301", 16)
	return map[string]func(i int) string{
		"marks":  func(int) string { return marked },
		"styles": func(i int) string { return fmt.Sprintf("\x1b[38;2;%d;%d;7mx", i%256, i/256%256) },
		"both": func(i int) string {
			return fmt.Sprintf("\x1b[38;2;%d;%d;7;48;2;%d;%d;1;58;2;%d;4;6m%s", i%256, i/256%256, i%256, i/256%256, i%251, marked)
		},
		"links": func(i int) string { return fmt.Sprintf("\x1b]8;;http://%d\x07x", i) },
	}
}

// fill shows both screens full of something, and as much of the past as is kept.
func fill(m *Mirror, unit func(i int) string) {
	var b strings.Builder
	write := func(cells int) {
		for i := range cells {
			if b.WriteString(unit(i)); b.Len() > 1<<15 {
				m.Write([]byte(b.String()))
				b.Reset()
			}
		}
	}
	write(m.cols * (m.rows + m.past + 2))
	b.WriteString("\x1b[?1049h")
	write(m.cols * (m.rows + 2))
	m.Write([]byte(b.String()))
}

// Whatever a device sends, a mirror takes no more than what is asked for it.
func TestNoTerminalTakesMoreThanItsCost(t *testing.T) {
	least := 1.0
	for what, unit := range dearest() {
		for _, size := range [][2]int{{80, 24}, {1000, 8}, {20, 500}, {1, 1}, {300, 60}} {
			for past, cost := range map[int]int{scrollback: Cost(size[0], size[1]), 0: ScreenCost(size[0], size[1])} {
				m := blank(size[0], size[1], past)
				empty := living()
				fill(m, unit)
				took := living() - empty
				if took > cost+64<<10 { // the parser, and what the heap itself rounds up
					t.Errorf("%s at %v with %d lines of the past: %d bytes, and %d are asked for", what, size, past, took, cost)
				}
				if size[0] > 1 {
					least = min(least, 1-float64(took)/float64(cost))
				}
				runtime.KeepAlive(m)
			}
		}
	}
	t.Logf("ATTACK | a device that makes each column of a terminal take much | what is asked of the agent's memory for it | %.0f %% less at the least | holds", 100*least)
}

// Terminals take room as they open, change their size and end, and all of it is given back.
func TestStreamsAskForRoom(t *testing.T) {
	taken, most := 0, Cost(80, 24)+Cost(100, 30)
	s := NewStreamsWithin(func(was, now int) bool {
		if now > was && taken+now-was > most {
			return false
		}
		taken += now - was
		return true
	})
	open := func(n uint32, cols, rows int) {
		s.Take(session.Event{Kind: session.ChannelOpened, Stream: n, Data: fmt.Appendf(nil, `{"type":"shell","term":"xterm","cols":%d,"rows":%d}`, cols, rows)})
	}
	drawn := func(want ...uint32) {
		t.Helper()
		all, complete := s.Snapshots()
		var got []uint32
		for _, one := range all {
			got = append(got, one.Stream)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || complete != (len(want) == len(s.open)) {
			t.Errorf("%v are drawn, and not %v; complete: %v", got, want, complete)
		}
	}
	open(1, 80, 24)
	open(2, 100, 30)
	drawn(1, 2)
	open(3, 80, 24)
	drawn(1, 2)
	s.Take(session.Event{Kind: session.Resize, Stream: 1, Data: []byte(`{"cols":90,"rows":24}`)})
	drawn(2)
	if taken != Cost(100, 30) {
		t.Errorf("%d are taken", taken)
	}
	open(4, 80, 24)
	drawn(2, 4)
	s.Take(session.Event{Kind: session.ChannelClosed, Stream: 2})
	drawn(4)
	s.Take(session.Event{Kind: session.Resize, Stream: 4, Data: []byte(`{"cols":40,"rows":24}`)})
	if taken != Cost(40, 24) {
		t.Errorf("%d are taken", taken)
	}
	s.Close()
	if taken != 0 {
		t.Errorf("%d are not given back", taken)
	}
}
