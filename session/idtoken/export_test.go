package idtoken

// ParseObject lets tests feed the walker directly.
func ParseObject(b []byte) (map[string]any, error) { return parseObject(b) }
