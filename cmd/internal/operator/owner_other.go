//go:build !unix

package operator

// AsOwner does nothing where there is no root.
func AsOwner(_, _ string) error { return nil }

// NotForAnother does nothing, too.
func NotForAnother(string) error { return nil }
