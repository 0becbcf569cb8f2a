package modality

import "time"

const (
	DefaultStale = 2 * time.Minute  // a source that was not heard for this long is unknown
	MinStale     = 5 * time.Second  //
	MaxStale     = 15 * time.Minute //

	DefaultFor = time.Hour      // that a relaxation of the operator holds
	MaxFor     = 12 * time.Hour // at the most

	maxDetail = 200      // bytes of what a source adds
	maxFile   = 64 << 10 // bytes of the switches on disk

	maxHours = 32 // lines of a schedule

	scheduleEvery = time.Second
	lookEvery     = 250 * time.Millisecond // for what time alone changes
	againAfter    = 5 * time.Second        // a source that failed is started again
)
