// Package sshd is the broker's SSH door: a jump host that lets an engineer's own
// ssh through to the agent of a granted service, and does nothing else.
//
//	ssh ──publickey──▶ sshd ──direct-tcpip "recon-ssh.ngh-petct1.ngh" 22──▶ fleet ──▶ agent
//
// It knows keys, who they belong to (Access) and how to reach an agent (Streams).
// The bytes it relays are the inner SSH, end to end between engineer and agent:
// it parses none of them, records none of them and could not read them. What it
// decides is a courtesy to the agent, which checks the grant again by itself.
//
// Identity comes from one place only: the permissions that x/crypto/ssh attaches
// to the connection after a signature was verified. What a client merely offered
// (gliderlabs' context, its user name, its public key) is never consulted.
package sshd
