package simulator

import (
	"fmt"
	"slices"
	"strings"
)

// typing is the command line, and the keys that are down.
type typing struct {
	text   []rune
	at     int
	past   []string
	back   int    // how many lines back in past; 0: the new one
	accent uint32 // a dead key that waits for its letter
	held   []uint32
	chord  string // the last key, with those that were held
}

// X keysyms that have a meaning here (X11/keysymdef.h).
const (
	keyBackSpace = 0xff08
	keyTab       = 0xff09
	keyReturn    = 0xff0d
	keyEscape    = 0xff1b
	keyHome      = 0xff50
	keyLeft      = 0xff51
	keyUp        = 0xff52
	keyRight     = 0xff53
	keyDown      = 0xff54
	keyEnd       = 0xff57
	keyPrint     = 0xff61
	keyPadEnter  = 0xff8d
	keyDelete    = 0xffff
	keyAltGr     = 0xfe03
	keyDead      = 0xfe50 // dead_grave and those behind it
)

// held keys that are shown with others, and named.
func modifier(sym uint32) string {
	switch sym {
	case 0xffe1, 0xffe2:
		return "Shift"
	case 0xffe3, 0xffe4:
		return "Ctrl"
	case 0xffe7, 0xffe8, 0xffe9, 0xffea:
		return "Alt"
	case 0xffeb, 0xffec:
		return "Super"
	case keyAltGr:
		return "AltGr"
	}
	return ""
}

// key is a key that went down or up.
func (b *board) key(sym uint32, down bool) {
	t := &b.typing
	b.touch(partTasks)
	if !down {
		t.held = slices.DeleteFunc(t.held, func(k uint32) bool { return k == sym })
		return
	}
	if !slices.Contains(t.held, sym) && len(t.held) < maxHeldKeys {
		t.held = append(t.held, sym)
	}
	if modifier(sym) != "" {
		return
	}
	mods := t.modifiers()
	t.chord = strings.Join(append(mods, keyName(sym)), "+")
	b.touch(partLine)
	if slices.Contains(mods, "Ctrl") && !slices.Contains(mods, "AltGr") || slices.Contains(mods, "Alt") || slices.Contains(mods, "Super") {
		b.shortcut(t.chord)
		return
	}
	b.edit(sym)
}

func (b *board) shortcut(chord string) {
	switch strings.ToLower(chord) {
	case "ctrl+v":
		b.insert([]rune(b.clip))
	case "ctrl+c":
		b.copy(string(b.typing.text))
	}
}

// edit is a key of the command line.
func (b *board) edit(sym uint32) {
	t := &b.typing
	switch sym {
	case keyBackSpace:
		if t.at > 0 {
			t.at--
			t.text = slices.Delete(t.text, t.at, t.at+1)
		}
	case keyDelete:
		if t.at < len(t.text) {
			t.text = slices.Delete(t.text, t.at, t.at+1)
		}
	case keyLeft:
		t.at = max(0, t.at-1)
	case keyRight:
		t.at = min(len(t.text), t.at+1)
	case keyHome:
		t.at = 0
	case keyEnd:
		t.at = len(t.text)
	case keyUp, keyDown:
		t.recall(sym == keyUp)
	case keyEscape:
		t.text, t.at, t.accent = nil, 0, 0
		b.show(pageEvents, nil)
	case keyReturn, keyPadEnter:
		b.enter()
	default:
		b.letter(sym)
	}
}

func (t *typing) recall(older bool) {
	if older {
		t.back = min(t.back+1, len(t.past))
	} else {
		t.back = max(t.back-1, 0)
	}
	t.text = nil
	if t.back > 0 {
		t.text = []rune(t.past[len(t.past)-t.back])
	}
	t.at = len(t.text)
}

// enter runs what was typed.
func (b *board) enter() {
	t := &b.typing
	line := strings.TrimSpace(string(t.text))
	t.text, t.at, t.back = nil, 0, 0
	if line == "" {
		return
	}
	t.past = append(t.past[max(0, len(t.past)-maxPast):], line)
	b.run(line)
}

// letter types what a key stands for, with the accent that waits for it.
func (b *board) letter(sym uint32) {
	t := &b.typing
	if sym >= keyDead && sym < keyDead+0x20 {
		t.accent = sym
		return
	}
	r := letterOf(sym)
	if r == 0 {
		return
	}
	if t.accent != 0 {
		r, t.accent = accented(t.accent, r), 0
	}
	b.insert([]rune{r})
}

func (b *board) insert(more []rune) {
	t := &b.typing
	for _, r := range more {
		if r < ' ' {
			r = ' '
		}
		if len(t.text) < maxTyped {
			t.text = slices.Insert(t.text, t.at, r)
			t.at++
		}
	}
	b.touch(partLine)
}

// letterOf is what a keysym types: Latin-1 as it is, Unicode above 0x1000000, the keypad,
// and three letters that have old names of their own.
func letterOf(sym uint32) rune {
	switch {
	case sym >= 0x20 && sym <= 0x7e, sym >= 0xa0 && sym <= 0xff:
		return rune(sym)
	case sym >= 0x1000020 && sym <= 0x110ffff:
		return rune(sym - 0x1000000)
	case sym >= 0xffaa && sym <= 0xffb9:
		return rune(sym - 0xff80)
	}
	return map[uint32]rune{0x13bc: 'Œ', 0x13bd: 'œ', 0x13be: 'Ÿ', 0x20ac: '€'}[sym]
}

// accented is a letter with the accent of a dead key; what has none stays as it is.
func accented(dead uint32, r rune) rune {
	of := map[uint32]string{
		keyDead:     "AÀEÈIÌOÒUÙaàeèiìoòuù",
		keyDead + 1: "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyý",
		keyDead + 2: "AÂEÊIÎOÔUÛaâeêiîoôuû",
		keyDead + 3: "AÃNÑOÕaãnñoõ",
		keyDead + 7: "AÄEËIÏOÖUÜYŸaäeëiïoöuüyÿ",
	}[dead]
	pairs := []rune(of)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == r {
			return pairs[i+1]
		}
	}
	return r
}

// modifiers are the names of those that are held, in the order in which people say them.
func (t *typing) modifiers() (names []string) {
	for _, name := range []string{"Ctrl", "Alt", "AltGr", "Shift", "Super"} {
		if slices.ContainsFunc(t.held, func(k uint32) bool { return modifier(k) == name }) {
			names = append(names, name)
		}
	}
	return names
}

// heldNames are all that is down.
func (t *typing) heldNames() string {
	names := t.modifiers()
	for _, k := range t.held {
		if modifier(k) == "" {
			names = append(names, keyName(k))
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func keyName(sym uint32) string {
	name := map[uint32]string{
		keyBackSpace: "Backspace", keyTab: "Tab", keyReturn: "Enter", keyEscape: "Esc", keyHome: "Home", keyLeft: "Left", keyUp: "Up",
		keyRight: "Right", keyDown: "Down", keyEnd: "End", keyPrint: "Print", keyPadEnter: "Enter", keyDelete: "Delete", ' ': "Space",
		0xff55: "PageUp", 0xff56: "PageDown", 0xff63: "Insert", 0xffe5: "CapsLock", 0xff67: "Menu",
	}[sym]
	switch r := letterOf(sym); {
	case name != "":
		return name
	case r != 0:
		return string(r)
	case sym >= 0xffbe && sym <= 0xffc9:
		return fmt.Sprintf("F%d", sym-0xffbd)
	}
	return fmt.Sprintf("0x%04x", sym)
}
