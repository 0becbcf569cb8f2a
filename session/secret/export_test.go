package secret

// MaxSecret lets a test write one that is too large.
const MaxSecret = maxSecret
