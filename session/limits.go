package session

const (
	MaxNodes     = 16       // of the broker, that a hospital accepts
	MaxEventData = 32 << 10 // bytes of Event.Data; longer data is split by whoever records it
	maxOrigin    = 255      // bytes of an audit log's name: a host and a path
)
