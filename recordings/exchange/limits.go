package exchange

const (
	maxAudit  = 16 << 20 // bytes of the audit proof
	maxPapers = 1 << 20  // bytes: two documents and 17 tokens with their keys
)
