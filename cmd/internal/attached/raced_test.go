//go:build !bench

package attached

var buildFlags = []string{"-race"}
