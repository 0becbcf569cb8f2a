// Command prove tries what a release must withstand: the attacks, with a table of what was
// tried, what the bound is and what was measured, and the fuzzing of every parser, with a
// ledger of the hours.
//
//	go run ./cmd/internal/prove attacks -seconds 900
//	go run ./cmd/internal/prove fuzz -time 20s
//	go run ./cmd/internal/prove hours
//
// It starts the project's own tests and reads what they print; it proves nothing itself. An
// attack is a row of the table in attacks.go, and holds if its tests ran and passed.
package main
