package simulator

import (
	"fmt"
	"image"
	"math"
	"strings"
)

const (
	colourDesk   = 0x3a5f8a
	colourPanel  = 0xf4f6f8
	colourEdge   = 0x8496aa
	colourInk    = 0x1d2733
	colourDim    = 0x5b6b7c
	colourHead   = 0x1e395b
	colourWhite  = 0xffffff
	colourLight  = 0xd9e6f4
	colourChosen = 0xbcd8f5
	colourGood   = 0x2f8a46
	colourWarn   = 0xb86a00
	colourBad    = 0xb82f26

	patientRow  = 34
	logRow      = 18
	logRows     = 17
	tileColumns = 3
	tileRows    = 5
	gantrySteps = 36
)

// paint paints what has to be, and returns which parts of the picture those are.
func (b *board) paint() (done []image.Rectangle) {
	for _, p := range b.dirty {
		box := p.box()
		done = append(done, box)
		switch p {
		case partTitle:
			b.paintTitle(box)
		case partNames:
			b.paintNames(box)
		case partPatients:
			b.paintPatients(box)
		case partGantry:
			b.paintGantry(box)
		case partTiles:
			b.paintTiles(box)
		case partLog:
			b.paintLog(box)
		case partDesk:
			b.paintDesk(box)
		case partLine:
			b.paintLine(box)
		case partTasks:
			b.paintTasks(box)
		}
	}
	b.dirty = nil
	return done
}

// panel paints an empty panel with a heading, and returns what is inside.
func (b *board) panel(box image.Rectangle, heading, right string) image.Rectangle {
	b.c.Fill(box, colourPanel)
	head := box
	head.Max.Y = head.Min.Y + 26
	b.c.Shade(head, colourWhite, colourLight)
	b.c.Fill(image.Rect(box.Min.X, head.Max.Y, box.Max.X, head.Max.Y+1), 0xb4c4d6)
	b.c.Frame(box, colourEdge)
	f := b.fonts.Bold
	b.c.Text(head.Min.Add(image.Pt(10, 6)), f, colourHead, f.Fit(heading, box.Dx()-20))
	if right != "" {
		r := b.fonts.Regular
		b.c.Text(image.Pt(box.Max.X-10-r.Width(right), head.Min.Y+6), r, colourDim, right)
	}
	return image.Rect(box.Min.X+1, head.Max.Y+1, box.Max.X-1, box.Max.Y-1)
}

func (b *board) paintTitle(whole image.Rectangle) {
	bar := whole
	bar.Max.Y = 30
	b.c.Shade(bar, 0xdfeaf6, 0xa9c4e2)
	a := b.s.cfg.Asset
	b.c.Text(image.Pt(12, 8), b.fonts.Bold, colourHead, fmt.Sprintf("%s   Service console   %s", a.Label, a.Name))
	for i, sign := range []string{"–", "o", "x"} {
		box := image.Rect(1280-120+i*38, 3, 1280-84+i*38, 22)
		b.c.Shade(box, 0xf2f7fc, 0xb8cfe8)
		if sign == "x" {
			b.c.Shade(box, 0xe9a08f, 0xb9452c)
		}
		b.c.Frame(box, 0x6d84a0)
		b.c.Text(box.Min.Add(image.Pt(14, 2)), b.fonts.Bold, colourInk, sign)
	}
	menu := image.Rect(0, 30, 1280, whole.Max.Y)
	b.c.Fill(menu, 0xf0f4f9)
	b.c.Fill(image.Rect(0, menu.Max.Y-1, 1280, menu.Max.Y), 0xb4c4d6)
	x := 14
	for _, word := range []string{"System", "View", "Calibration", "Quality", "Service", "Help"} {
		x = b.c.Text(image.Pt(x, 35), b.fonts.Regular, colourInk, word) + 24
	}
	now := b.s.cfg.Now()
	state := fmt.Sprintf("Modality: %s     Software %s", b.s.modality(now).name, b.s.version())
	b.c.Text(image.Pt(1266-b.fonts.Regular.Width(state), 35), b.fonts.Regular, colourInk, state)
}

func (b *board) paintNames(whole image.Rectangle) {
	b.c.Shade(whole, 0x33577f, 0x22405f)
	b.c.Frame(whole, 0x16304b)
	p := b.s.book.patients[b.selected]
	b.c.Text(whole.Min.Add(image.Pt(14, 12)), b.fonts.Large, colourWhite, p.name)
	right := fmt.Sprintf("%s     born %s     %s     %s", p.id, p.born, p.sex, p.exam)
	b.c.Text(image.Pt(whole.Max.X-14-b.fonts.Regular.Width(right), whole.Min.Y+20), b.fonts.Regular, 0xdbe7f3, right)
}

func (b *board) paintPatients(whole image.Rectangle) {
	in := b.panel(whole, "Patient list", fmt.Sprint(len(b.s.book.patients)))
	for i, p := range b.s.book.patients {
		at := image.Rect(in.Min.X, in.Min.Y+4+i*patientRow, in.Max.X, in.Min.Y+4+(i+1)*patientRow)
		if i == b.selected {
			b.c.Shade(at, 0xdcebfb, colourChosen)
		}
		b.c.Text(at.Min.Add(image.Pt(10, 2)), b.fonts.Bold, colourInk, p.name)
		b.c.Text(at.Min.Add(image.Pt(10, 17)), b.fonts.Regular, colourDim, p.id+"  "+p.exam)
	}
}

// paintGantry is the gantry from the front, with what turns in it, and the table from the
// side.
func (b *board) paintGantry(whole image.Rectangle) {
	now := b.s.cfg.Now()
	m := b.s.modality(now)
	in := b.panel(whole, "Gantry and table", m.table)
	b.c.Fill(in, 0x1b2836)
	middle := image.Pt(in.Min.X+176, in.Min.Y+172)
	b.c.Disc(middle, 150, 0, 0xd8dee5)
	b.c.Disc(middle, 150, 146, 0x93a1b0)
	b.c.Disc(middle, 124, 80, 0xb9c4cf)
	b.c.Disc(middle, 78, 0, 0x0f1822)
	for n := range 12 { // detector blocks
		b.c.Disc(round(middle, 102, float64(n)/12), 9, 0, 0x9aa8b6)
	}
	turn := float64(b.step) / gantrySteps
	b.c.Disc(round(middle, 102, turn), 13, 0, 0xe0a526)
	b.c.Disc(round(middle, 102, turn+0.5), 13, 0, 0x3f7fbf)
	lamp := uint32(colourGood)
	if b.moving(now) {
		lamp = 0xe0a526
	}
	b.c.Disc(image.Pt(in.Min.X+30, in.Min.Y+30), 10, 0, lamp)

	table := in.Min.Add(image.Pt(352, 196))
	out := 40 + int(36*math.Sin(2*math.Pi*turn))
	b.c.Fill(image.Rect(table.X+70, table.Y+16, table.X+90, table.Y+110), 0x6f7f90)
	b.c.Fill(image.Rect(table.X+40, table.Y+110, table.X+120, table.Y+122), 0x6f7f90)
	b.c.Fill(image.Rect(table.X+out-36, table.Y, table.X+out+56, table.Y+14), 0xd8dee5)
	b.c.Text(table.Add(image.Pt(0, -120)), b.fonts.Regular, 0xaebccb, "Angle")
	b.c.Text(table.Add(image.Pt(0, -104)), b.fonts.Large, colourWhite, fmt.Sprintf("%3d°", b.step*360/gantrySteps))
	b.c.Text(table.Add(image.Pt(0, -64)), b.fonts.Regular, 0xaebccb, "Table")
	b.c.Text(table.Add(image.Pt(0, -48)), b.fonts.Large, colourWhite, fmt.Sprintf("%d mm", 400+out))
	b.c.Text(image.Pt(in.Min.X+12, in.Max.Y-24), b.fonts.Regular, 0xaebccb, m.name)
}

// round is a place on a circle, part of the way round it.
func round(middle image.Point, radius, part float64) image.Point {
	sin, cos := math.Sincos(2 * math.Pi * part)
	return middle.Add(image.Pt(int(math.Round(radius*sin)), int(math.Round(-radius*cos))))
}

func (b *board) paintTiles(whole image.Rectangle) {
	in := b.panel(whole, "Temperatures and supplies", "")
	wide, high := in.Dx()/tileColumns, in.Dy()/tileRows
	for i, r := range b.readings() {
		at := in.Min.Add(image.Pt(i%tileColumns*wide, i/tileColumns*high))
		box := image.Rectangle{Min: at.Add(image.Pt(4, 4)), Max: at.Add(image.Pt(wide-2, high-2))}
		b.c.Fill(box, colourWhite)
		b.c.Frame(box, 0xc6d1dd)
		colour := uint32(colourGood)
		if r.state != "OK" {
			colour = colourWarn
		}
		b.c.Fill(image.Rect(box.Min.X, box.Min.Y, box.Min.X+4, box.Max.Y), colour)
		b.c.Text(box.Min.Add(image.Pt(12, 4)), b.fonts.Regular, colourDim, b.fonts.Regular.Fit(r.name, box.Dx()-16))
		end := b.c.Text(box.Min.Add(image.Pt(12, 20)), b.fonts.Large, colourInk, r.value)
		b.c.Text(image.Pt(end+5, box.Min.Y+32), b.fonts.Regular, colourDim, strings.Replace(r.unit, "C", "°C", 1))
		b.c.Text(box.Min.Add(image.Pt(12, high-24)), b.fonts.Regular, colour, strings.TrimSuffix(r.state+"  "+r.limit, "  -"))
	}
}

func (b *board) paintLog(whole image.Rectangle) {
	back := ""
	if b.scroll > 0 {
		back = fmt.Sprintf("%d lines below", b.scroll)
	}
	in := b.panel(whole, b.page, back)
	b.c.Fill(in, colourWhite)
	last := len(b.lines) - b.scroll
	for i, line := range b.lines[max(0, last-logRows):last] {
		at := in.Min.Add(image.Pt(8, 5+i*logRow))
		b.c.Text(at, b.fonts.Mono, b.lineColour(line), b.fonts.Mono.Fit(line, in.Dx()-16))
	}
}

// lineColour is that of an event's severity.
func (b *board) lineColour(line string) uint32 {
	if b.page == pageEvents && len(line) > 24 {
		switch line[24] {
		case 'E':
			return colourBad
		case 'W':
			return colourWarn
		}
	}
	return colourInk
}

func (b *board) paintDesk(whole image.Rectangle) {
	in := b.panel(whole, "Service", "")
	for i, x := range b.buttons {
		b.paintButton(x, i == b.pressed)
	}
	box := image.Rect(in.Min.X+11, in.Max.Y-126, in.Max.X-11, in.Max.Y-10)
	b.c.Text(image.Pt(box.Min.X, box.Min.Y-18), b.fonts.Bold, colourHead, "Clipboard")
	b.c.Text(image.Pt(box.Min.X+90, box.Min.Y-18), b.fonts.Regular, colourDim, b.whence)
	b.c.Fill(box, colourWhite)
	b.c.Edge(box, colourEdge, 0xc6d1dd)
	rows := strings.Split(b.clip, "\n")
	for i, row := range rows[:min(len(rows), 6)] {
		row = strings.ReplaceAll(row, "\t", "   ")
		b.c.Text(box.Min.Add(image.Pt(6, 4+i*17)), b.fonts.Regular, colourInk, b.fonts.Regular.Fit(row, box.Dx()-12))
	}
}

func (b *board) paintButton(x button, pressed bool) {
	text := x.at.Min.Add(image.Pt((x.at.Dx()-b.fonts.Regular.Width(x.text))/2, 8))
	if pressed {
		b.c.Shade(x.at, 0xc4dcf2, 0xdfeefb)
		b.c.Edge(x.at, 0x2c5f92, 0x6fa3d4)
		text = text.Add(image.Pt(1, 1))
	} else {
		b.c.Shade(x.at, 0xf7f9fb, 0xd5dde6)
		b.c.Edge(x.at, 0xa8b6c4, 0x707f8e)
	}
	b.c.Text(text, b.fonts.Regular, colourInk, x.text)
}

func (b *board) paintLine(whole image.Rectangle) {
	in := b.panel(whole, "Command", "Enter runs it, Esc goes back to the events")
	b.c.Fill(in, 0x101820)
	t := b.typing
	at := in.Min.Add(image.Pt(10, 10))
	at.X = b.c.Text(at, b.fonts.Mono, 0x7fb2e5, b.s.cfg.Asset.Name+"> ")
	text, cursor := t.text, t.at
	room := (in.Max.X - 20 - at.X) / b.fonts.Mono.Width(" ")
	if from := cursor - room; from > 0 {
		text, cursor = text[from:], cursor-from
	}
	text = text[:min(len(text), room)]
	b.c.Text(at, b.fonts.Mono, 0xe8eef4, string(text))
	x := at.X + b.fonts.Mono.Width(string(text[:cursor]))
	b.c.Fill(image.Rect(x, at.Y-1, x+2, at.Y+16), 0xe0a526)
	below := "Last key: " + t.chord
	if t.accent != 0 {
		below += "     an accent waits for its letter"
	}
	b.c.Text(image.Pt(in.Min.X+10, in.Max.Y-22), b.fonts.Regular, 0x8fa3b7, below)
}

func (b *board) paintTasks(whole image.Rectangle) {
	b.c.Shade(whole, 0x2d4159, 0x172433)
	b.c.Disc(image.Pt(28, whole.Min.Y+20), 15, 0, 0x3f7fbf)
	b.c.Disc(image.Pt(28, whole.Min.Y+20), 7, 0, 0xe8eef4)
	task := image.Rect(60, whole.Min.Y+4, 260, whole.Max.Y-4)
	b.c.Shade(task, 0x5c7794, 0x3b5570)
	b.c.Frame(task, 0x7f97b0)
	b.c.Text(task.Min.Add(image.Pt(10, 8)), b.fonts.Regular, colourWhite, "Service console")
	held := "Keys held: " + b.typing.heldNames()
	if b.left {
		held += "     button held"
	}
	b.c.Text(image.Pt(300, whole.Min.Y+12), b.fonts.Regular, 0xc9d6e3, held)
	now := b.s.cfg.Now().UTC()
	clock := func(y int, s string) {
		b.c.Text(image.Pt(1268-b.fonts.Regular.Width(s), whole.Min.Y+y), b.fonts.Regular, colourWhite, s)
	}
	clock(4, now.Format("15:04"))
	clock(21, now.Format("2006-01-02"))
}

// shapes of the pointer, drawn with letters: # black, o white, anything else nothing.
func shapeOf(name string) (hot image.Point, rows []string) {
	switch name {
	case shapeHand:
		return image.Pt(5, 0), hand()
	case shapeBeam:
		return image.Pt(3, 7), strings.Fields("###.### ...#... ...#... ...#... ...#... ...#... ...#... ...#... ...#... ...#... ...#... ...#... ###.###")
	}
	return image.Pt(0, 0), arrow()
}

const (
	shapeArrow = "arrow"
	shapeHand  = "hand"
	shapeBeam  = "beam"
)

func arrow() []string {
	return strings.Fields(`#........... ##.......... #o#......... #oo#........ #ooo#....... #oooo#...... #ooooo#.....
		#oooooo#.... #ooooooo#... #oooooooo#.. #ooooo#####. #oo#oo#..... #o#.#oo#.... ##..#oo#.... #....#oo#... .....#oo#... ......##....`)
}

func hand() []string {
	return strings.Fields(`.....##...... ....#oo#..... ....#oo#..... ....#oo#..... ....#oo###... ....#oo#oo### ....#oo#oo#o# .##.#oo#oo#o#
		#oo##oooooooo# #ooo#oooooooo# .#oo#oooooooo# ..#ooooooooo# ..#ooooooooo# ...#ooooooo# ....#ooooo#. ....#######.`)
}
