package attach

import "encoding/json"

// ConsoleOpening is the opening of a console.
func ConsoleOpening() json.RawMessage { return json.RawMessage("{}") }

// ParseConsole reads the opening of a console.
func ParseConsole(opening []byte) error {
	if decode(opening, &struct{}{}) != nil {
		return bad("an opening that it cannot read")
	}
	return nil
}
