package console

// What the control socket takes and gives.
const (
	maxPath     = 107     // bytes of a unix socket's path: sun_path, less its end (unix(7))
	maxRequest  = 4 << 10 // bytes of a request's body: a name and a reason
	maxEngineer = 320     // bytes of an e-mail address or subject
	maxAnswer   = 4 << 20 // bytes of an answer: the status of a hospital with a thousand assets
)
