package main

import "time"

const (
	// fewest executions that count as fuzzing: a target that makes fewer sees its seeds and
	// little else.
	fewest = 10_000
	// rounds a slow target may take to make them.
	rounds = 5
	// patience with a slow target where rounds are short.
	patience = time.Minute
	// longestAttack is how long the tests of one row may take.
	longestAttack = 30 * time.Minute
	// shortestFuzz is the least time that a target gets of what the attacks leave.
	shortestFuzz = 2 * time.Second

	ledgerFile = ".ci/fuzz.tsv"
)
