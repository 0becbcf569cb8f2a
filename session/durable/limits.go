package durable

import "io/fs"

const (
	private    fs.FileMode = 0o600 // of a file that says nothing else
	privateDir fs.FileMode = 0o700

	reserveStep = 8 << 10 // bytes given up beside those of an entry: names, and the rest of a block

	maxHolder = 64 // bytes of a lock file: who holds it
)
