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
		{"one engineer, or one vendor, asks for more than an agent keeps", "others ask, extend and are ended", "agent/ledger", "^TestOnesShareOfTheLedger"},
		{"one engineer, vendor or scanner takes an agent's connections; strangers its streams", "others are let in; the proven are never shed", "agent/engine", "^TestOnesShareOf|^TestStrangersAreShed"},
		{"one engineer or vendor takes an agent's streams at the broker", "others go on", "broker/fleet", "^TestOnesShareOf"},
		{"one session takes an agent's channels", "others go on", "agent/engine/shell", "^TestOnesShareOf"},
		{"requests without end before a kill", "it is taken at once", "session/link", "^TestAFloodOfQuestionsKeepsNothingUrgentWaiting$"},
		{"recordings of one person or vendor fill an agent's disk", "a half, two thirds of it", "agent/spool", "^TestOnesShareOf"},
		{"transfers and listings that are made to be held", "32 MiB of a session", "session/files", "^TestReadsOutOfOrderAreBounded$|^TestSingleBytesOutOfOrderAreBounded$|^TestListingsOfAHostileDeviceAreBounded$"},

		// kill, freeze and time
		{"any order of attach, extend, restart, freeze, thaw and kill, while everybody types", "no byte passes after an acknowledged kill or freeze", "agent", "^TestNothingPassesAfterAKillOrAFreeze$"},
	}
}
