//go:build !unix

package broker

func oneDisk(_, _ string) bool { return false }
