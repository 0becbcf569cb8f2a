// Package proxy dials out through a hospital's forward proxy: CONNECT to an http or https
// proxy, with Basic authentication. It makes a tunnel and nothing more: whoever dials
// speaks TLS inside it and proves the other end. What a proxy does instead of connecting
// is told in one sentence, with the way round.
package proxy
