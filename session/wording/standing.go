package wording

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// NoInterlock is said of a scanner without one.
const NoInterlock = "Interlock: none. Nothing here knows about patients, and nothing is stopped for them."

// ClassMeans says what a class of work means that works in these states of a scanner, and
// looks on in all others. The pages say the same: lib/standing.ts.
func ClassMeans(works []session.ModalityState) []string {
	var rest []session.ModalityState
	for _, s := range session.ModalityStates() {
		if !slices.Contains(works, s) {
			rest = append(rest, s)
		}
	}
	slices.Sort(rest)
	lines := []string{"Works in no state of the scanner."}
	if len(works) > 0 {
		lines[0] = "Works while the scanner is " + eitherState(works) + "."
	}
	if len(rest) > 0 {
		lines = append(lines, "Looks on while it is "+eitherState(rest)+": nothing of theirs reaches the scanner.")
	}
	return lines
}

func eitherState(all []session.ModalityState) string {
	var words []string
	for _, s := range all {
		words = append(words, s.Words())
	}
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
