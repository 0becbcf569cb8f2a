package grant_test

import (
	"bytes"
	"encoding/json"
)

// loose writes a document without asking whether it is right, as an attacker would.
func loose(doc any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
