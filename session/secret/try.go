package secret

import "os"

// Try reports whether the secret can be read, without keeping it. unknown says that it is
// the service manager's to hand over, and that this process was not started by it.
func (r Reference) Try() (unknown bool, err error) {
	if r.scheme == "credential" && os.Getenv("CREDENTIALS_DIRECTORY") == "" {
		return true, nil
	}
	_, err = r.Read()
	return false, err
}
