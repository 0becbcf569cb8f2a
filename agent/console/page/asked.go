package page

// Request is one that waits for the hospital's approval, as its engineer signed it and the
// agent checked it. An approval can allow as much or less, never more.
type Request struct {
	ID, Asset         string
	Who, Company      string
	Reason, WorkOrder string
	Work              string // what they may do, in words
	When              string // how long at the most, and in which window
	Signed            string // where, when and in which kind of program they signed in
	Approved          string // by whom so far, and by how many it has to be
	Longer            bool   // a session that runs is to go on
	Here              bool   // it can be approved on this page
}

// some are as many as a page shows, the oldest first, and how many more wait.
type some struct {
	Some []Request
	More int
}

func firstOf(all []Request) some {
	n := min(len(all), maxRequests)
	return some{all[:n], len(all) - n}
}
