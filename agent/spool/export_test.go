package spool

// Space has a test say what the disk holds.
func (q *Quota) Space(f func(dir string) (free, total uint64, err error)) { q.space = f }
