package mirror

// Bounds of one mirror.
const (
	scrollback = 200 // lines of the past that a snapshot brings back
	cellBytes  = 32  // of a character with all its marks

	// cellCost is what a column of a line takes that has marks and a style of its own, in bytes.
	cellCost = 208

	// What a byte earns, in cells that may be touched for it beside its own, and how much
	// of it is kept: 64 KiB of the worst are drawn within 50 ms of a processor.
	earned = 24
	burst  = 1 << 20
)

// budget is the work that a mirror may still do.
type budget struct {
	credit int
	behind bool // something was left out: the picture is lost until enough is earned
	done   int  // what was paid
}

func (b *budget) earn() { b.credit = min(b.credit+earned, burst) }

// pay reports whether so much work may be done.
func (b *budget) pay(cells int) bool {
	if cells > b.credit {
		b.behind = true
		return false
	}
	b.credit -= cells
	b.done += cells
	return true
}
