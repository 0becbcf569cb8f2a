//go:build !unix

package ledger

import "errors"

// lock refuses: without a lock two agents could admit the same grant twice.
func lock(string) (func() error, error) {
	return nil, errors.New("no file locks on this system")
}
