package secret

const (
	maxSecret = 64 << 10 // bytes of a password or a private key file
	maxName   = 128      // bytes of a variable's or credential's name
)
