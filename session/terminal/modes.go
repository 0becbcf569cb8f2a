package terminal

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// modeName is a terminal mode of RFC 4254 section 8 and RFC 8160, as stty names it.
// Below 30 there are the codes of keys; from there on it is on or off, but for speeds.
func modeName(mode byte) (string, bool) {
	name, known := map[byte]string{
		1: "intr", 2: "quit", 3: "erase", 4: "kill", 5: "eof", 6: "eol", 7: "eol2", 8: "start", 9: "stop", 10: "susp", 11: "dsusp",
		12: "reprint", 13: "werase", 14: "lnext", 15: "flush", 16: "switch", 17: "status", 18: "discard",
		30: "ignpar", 31: "parmrk", 32: "inpck", 33: "istrip", 34: "inlcr", 35: "igncr", 36: "icrnl", 37: "iuclc", 38: "ixon", 39: "ixany",
		40: "ixoff", 41: "imaxbel", 42: "iutf8", 50: "isig", 51: "icanon", 52: "xcase", 53: "echo", 54: "echoe", 55: "echok", 56: "echonl",
		57: "noflsh", 58: "tostop", 59: "iexten", 60: "echoctl", 61: "echoke", 62: "pendin", 70: "opost", 71: "olcuc", 72: "onlcr",
		73: "ocrnl", 74: "onocr", 75: "onlret", 90: "cs7", 91: "cs8", 92: "parenb", 93: "parodd",
		128: "input speed", 129: "output speed",
	}[mode]
	return name, known
}

// modeWords says what canonical modes ask for, all of it: "echo off, intr ^C".
func modeWords(modes string) string {
	var words []string
	for ; len(modes) > 5; modes = modes[5:] {
		name, known := modeName(modes[0])
		if !known {
			name = fmt.Sprintf("mode %d", modes[0])
		}
		words = append(words, name+" "+modeValue(modes[0], known, binary.BigEndian.Uint32([]byte(modes[1:5]))))
	}
	if len(words) == 0 {
		return "no modes"
	}
	return "modes " + strings.Join(words, ", ")
}

func modeValue(mode byte, known bool, value uint32) string {
	switch {
	case known && mode >= 30 && mode < 128 && value <= 1:
		return []string{"off", "on"}[value]
	case known && mode < 30 && value < 32:
		return "^" + string(rune('@'+value))
	case known && mode < 30 && value == 127:
		return "^?"
	case known && mode < 30 && value == 255:
		return "none"
	}
	return fmt.Sprint(value)
}
