package player

import (
	"context"
	"sync"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
)

// index is what needs all of the recording - marks, activity, channels - as far as it was read.
type index struct {
	src *recordings.Reader // of read alone

	mu sync.Mutex // guards what follows
	is replay.Index
}

// read reads the recording from its beginning until it is over, or ctx ends. It is not waited
// for: a page that plays asks again.
func (x *index) read(ctx context.Context) {
	all := replay.Begin(x.src)
	for more := true; more && ctx.Err() == nil; {
		var err error
		more, err = all.On(segmentsAtOnce)
		is := all.Index()
		if is.Whole = is.Whole || !more; err != nil { // nothing comes after it
			is.Broken = err.Error()
		}
		x.mu.Lock()
		x.is = is
		x.mu.Unlock()
	}
}

func (x *index) now() replay.Index {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.is
}
