package config

const maxBytes = 4 << 20 // of a configuration file; a hospital with a thousand assets stays far below
