package simulator

import (
	"image"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator/canvas"
)

// ConsoleSize is that of the service console, as they were when Windows 7 was new.
func ConsoleSize() image.Point { return image.Pt(1280, 1024) }

// NameBoxes are where the console shows who its patients are: the name bar and the
// patient list. All of them are made up.
func NameBoxes() []image.Rectangle {
	return []image.Rectangle{partNames.box(), partPatients.box()}
}

// part is a part of the console that is painted as one.
type part int

const (
	partTitle part = iota
	partNames
	partPatients
	partGantry
	partTiles
	partLog
	partDesk
	partLine
	partTasks
)

func (p part) box() image.Rectangle {
	return [...]image.Rectangle{
		partTitle:    image.Rect(0, 0, 1280, 56),
		partNames:    image.Rect(8, 64, 1272, 120),
		partPatients: image.Rect(8, 128, 304, 528),
		partGantry:   image.Rect(312, 128, 808, 528),
		partTiles:    image.Rect(816, 128, 1272, 528),
		partLog:      image.Rect(8, 536, 904, 880),
		partDesk:     image.Rect(912, 536, 1272, 880),
		partLine:     image.Rect(8, 888, 1272, 976),
		partTasks:    image.Rect(0, 984, 1280, 1024),
	}[p]
}

// board is a console as a person at it sees and uses it. What serves it, by whatever
// protocol, hands it what was done, asks it to paint, and takes what became of that. It is
// of one goroutine.
type board struct {
	s     *Scanner
	c     *canvas.Canvas
	fonts canvas.Fonts
	dirty []part // to be painted anew

	step     int // of the gantry
	minute   int64
	values   int64 // the second that the values shown are of
	selected int   // the patient
	page     string
	lines    []string // what stands in the log
	scroll   int      // lines back from its end
	turning  bool     // the gantry, because somebody pressed the button

	typing  typing
	buttons []button
	pressed int // the button that is held down; -1: none
	pointer image.Point
	left    bool
	clip    string // what was pasted or copied last
	whence  string // where from

	// what the last calls asked of whoever serves the board
	copied []string // onto people's clipboards
	runs   []string // command lines
}

// button is something to press.
type button struct {
	at   image.Rectangle
	text string
	do   func()
}

func (s *Scanner) newBoard() (*board, error) {
	fonts, err := canvas.ReadFonts()
	if err != nil {
		return nil, err
	}
	b := &board{s: s, c: canvas.New(ConsoleSize()), fonts: fonts, pressed: -1, page: pageEvents}
	b.c.Fill(b.c.Bounds(), colourDesk)
	b.arrange()
	b.tick()
	b.touch(partTitle, partNames, partPatients, partGantry, partDesk, partLine, partTasks)
	return b, nil
}

const pageEvents = "Event log"

// arrange places the buttons.
func (b *board) arrange() {
	command := func(line string) func() { return func() { b.run(line) } }
	for i, x := range []struct {
		text string
		do   func()
	}{
		{pageEvents, func() { b.show(pageEvents, nil) }}, {"Detectors", command("dettemp")},
		{"Cooling", command("coolstat")}, {"Host and disks", command("dbstat")},
		{"Copy values", func() { b.copy(b.valuesText()) }}, {"Copy list", func() { b.copy(strings.Join(b.lines, "\n")) }},
		{"Turn gantry", func() { b.turning = !b.turning; b.touch(partGantry) }}, {"Clear", func() { b.clip, b.whence = "", ""; b.typing = typing{held: b.typing.held}; b.touch(partLine) }},
	} {
		at := image.Pt(partDesk.box().Min.X+12+i%2*172, partDesk.box().Min.Y+36+i/2*40)
		b.buttons = append(b.buttons, button{image.Rectangle{Min: at, Max: at.Add(image.Pt(164, 32))}, x.text, x.do})
	}
}

// touch asks for parts to be painted anew.
func (b *board) touch(parts ...part) {
	for _, p := range parts {
		if !slices.Contains(b.dirty, p) {
			b.dirty = append(b.dirty, p)
		}
	}
}

// tick lets time pass: call it twice a second.
func (b *board) tick() {
	now := b.s.cfg.Now()
	b.turn(now)
	if m := now.Unix() / 60; m != b.minute {
		b.minute = m
		b.touch(partTasks, partTitle, partNames)
	}
	every := time.Minute
	if b.moving(now) {
		every = 10 * time.Second
	}
	if v := now.Truncate(every).Unix(); v != b.values {
		b.values = v
		b.touch(partTiles)
		if b.page == pageEvents {
			b.show(pageEvents, nil)
		}
	}
}

// moving reports whether the gantry turns: while a patient is scanned, and when it is told to.
// A scanner at rest shows next to nothing new.
func (b *board) moving(now time.Time) bool {
	return b.turning || b.s.modality(now).name == "scanning"
}

func (b *board) turn(now time.Time) {
	if step := int(now.UnixMilli() / 500 % gantrySteps); step != b.step && b.moving(now) {
		b.step = step
		b.touch(partGantry)
	}
}

// show puts a page into the log: the events, or what a command said.
func (b *board) show(page string, lines []string) {
	if page == pageEvents {
		for _, e := range b.s.events(b.s.cfg.Now(), 24*time.Hour, "EWI", 100) {
			if e.source != "ACQ" { // messages about patients are the hospital's, not the service's
				lines = append(lines, e.String())
			}
		}
	}
	if b.page != page {
		b.scroll = 0
	}
	b.page, b.lines = page, lines
	b.touch(partLog)
}

// copy puts a text on the clipboard of everybody who looks.
func (b *board) copy(text string) {
	b.clip, b.whence = text, "Copied here"
	b.copied = append(b.copied, text)
	b.touch(partDesk)
}

// paste is a text that came from somebody who looks.
func (b *board) paste(text string) {
	b.clip, b.whence = text, "Pasted here"
	b.touch(partDesk)
}

// run asks for a command to be run.
func (b *board) run(line string) {
	b.runs = append(b.runs, line)
	b.show("Running: "+line, nil)
}

// point is the pointer, and whether its left button is down; wheel is -1 up, 1 down.
func (b *board) point(at image.Point, left bool, wheel int) {
	was := b.left
	b.pointer, b.left = at, left
	over := slices.IndexFunc(b.buttons, func(x button) bool { return at.In(x.at) })
	switch {
	case left && !was:
		b.pressed = over
		b.touch(partDesk, partTasks)
		if at.In(partPatients.box()) {
			b.selected = min(max(0, (at.Y-partPatients.box().Min.Y-32)/patientRow), len(b.s.book.patients)-1)
			b.touch(partPatients, partNames)
		}
	case !left && was:
		pressed := b.pressed
		b.pressed = -1
		b.touch(partDesk)
		if pressed >= 0 && pressed == over {
			b.buttons[pressed].do()
		}
	}
	if wheel != 0 && at.In(partLog.box()) {
		b.scroll = min(max(0, b.scroll-3*wheel), max(0, len(b.lines)-logRows))
		b.touch(partLog)
	}
}

// shape is what the pointer looks like where it is.
func (b *board) shape() string {
	switch {
	case slices.ContainsFunc(b.buttons, func(x button) bool { return b.pointer.In(x.at) }), b.pointer.In(partPatients.box()):
		return shapeHand
	case b.pointer.In(partLine.box()):
		return shapeBeam
	}
	return shapeArrow
}

// valuesText is what stands in the tiles, as text.
func (b *board) valuesText() string {
	var out strings.Builder
	for _, r := range b.readings() {
		out.WriteString(strings.TrimSpace(r.name+"\t"+r.value+" "+r.unit) + "\n")
	}
	return out.String()
}

// readings are the values of the tiles, as the shell's tables have them.
func (b *board) readings() []row {
	now := time.Unix(b.values, 0)
	var all []row
	if b.s.is("PT") {
		for ring := range petRings {
			all = append(all, b.s.hottest(ring, now))
		}
	}
	for _, table := range []string{"cooling", "tube", "detector", "host"} {
		all = append(all, b.s.rows(table, now)...)
	}
	return all[:min(len(all), tileColumns*tileRows)]
}
