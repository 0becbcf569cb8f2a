// Package durable keeps files so that a crash or a power cut leaves the old content or
// the new one, never a part of it, and so that one process at a time writes a directory.
// A file is written under a name of its own beside its place, synced, given its name, and
// the directory is synced. What an interrupted write leaves behind begins with ".new-";
// whoever holds the directory removes it with Sweep.
//
// It knows bytes and names only, never what they mean.
package durable
