package replay

// finest is how many counts a histogram begins with; it keeps between half as many and
// all of them, so that nothing has to be known of the length.
const finest = 1 << 13

// histogram counts bytes over time, coarser as time goes on.
type histogram struct {
	counts []int64
	width  int64 // microseconds of a count
}

func (s *histogram) add(at, n int64) {
	if s.width == 0 {
		s.width, s.counts = 1024, make([]int64, finest)
	}
	for at/s.width >= finest {
		for i := range finest / 2 {
			s.counts[i] = s.counts[2*i] + s.counts[2*i+1]
		}
		clear(s.counts[finest/2:])
		s.width *= 2
	}
	s.counts[max(at, 0)/s.width] += n
}

// over is the histogram over a duration, in at most Buckets equal parts.
func (s *histogram) over(duration int64) []int64 {
	out := make([]int64, min(Buckets, max(duration/1000, 1)))
	for i, n := range s.counts {
		if n > 0 {
			middle := int64(i)*s.width + s.width/2
			out[min(int64(float64(middle)/float64(max(duration, 1))*float64(len(out))), int64(len(out)-1))] += n
		}
	}
	return out
}
