package attach

import (
	"encoding/binary"
	"encoding/json"
)

// Terminal is the opening of ssh: the terminal that the browser has.
type Terminal struct {
	Cols  int    `json:"cols"`
	Rows  int    `json:"rows"`
	Term  string `json:"term"`
	Shell bool   `json:"shell"` // start one, where none is running
}

// Opening is the terminal as a proof carries it.
func (t Terminal) Opening() json.RawMessage {
	b, _ := json.Marshal(t) // numbers, a string and a bool
	return b
}

// ParseTerminal reads the opening of ssh.
func ParseTerminal(opening []byte) (Terminal, error) {
	var t Terminal
	if decode(opening, &t, "cols", "rows", "term", "shell") != nil {
		return Terminal{}, bad("an opening that it cannot read")
	}
	if t.Term == "" || len(t.Term) > maxTerm || !printable(t.Term) {
		return Terminal{}, bad("a terminal type that is none")
	}
	if err := CheckSize(t.Cols, t.Rows); err != nil {
		return Terminal{}, err
	}
	return t, nil
}

// Size is the size of a terminal as Z, T and S carry it.
func Size(payload []byte) (cols, rows int, err error) {
	if len(payload) < 4 {
		return 0, 0, ErrFrame
	}
	cols, rows = int(binary.BigEndian.Uint16(payload)), int(binary.BigEndian.Uint16(payload[2:]))
	return cols, rows, CheckSize(cols, rows)
}

// AppendSize is the inverse of Size, within its bounds.
func AppendSize(b []byte, cols, rows int) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(cols))
	return binary.BigEndian.AppendUint16(b, uint16(rows))
}

// CheckSize refuses a terminal's size that is out of bounds.
func CheckSize(cols, rows int) error {
	if cols < 1 || rows < 1 || cols > MaxCols || rows > MaxRows || cols*rows > MaxCells {
		return bad("a terminal's size that is out of bounds")
	}
	return nil
}

// printable reports whether s is ASCII without spaces and control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
