package main

// attack is a row of the table: what is tried, what must hold, and the tests that try it. A
// test that prints a line "ATTACK | what | bound | measured | verdict" speaks for itself; of
// the others the table says how many ran, and how long.
type attack struct {
	what, bound string
	pkg, tests  string // as go test's -run takes them
}

// attacks are grouped as the README's promises are.
func attacks() []attack {
	return []attack{
		// ports and shares
		{"10,000 connections of 100 networks, and one network that wants every place, against both ports for a minute", "no live session drops; a sign-in and an agent's way back <= 2 s", "cmd/internal/crash", "^TestFloodFromManyNetworks$"},
		{"silent connections, handshakes begun, places held by one network", "the oldest silent one of the largest share goes; accept never waits; the proven are not counted", "session/lobby", "."},

		// kill, freeze and time
		{"any order of attach, extend, restart, freeze, thaw and kill, while everybody types", "no byte passes after an acknowledged kill or freeze", "agent", "^TestNothingPassesAfterAKillOrAFreeze$"},
	}
}
