// Package attach is what a browser and a hospital's agent say to each other when an
// engineer works in the browser. The broker carries these bytes and reads none of
// them. This comment is the whole of it; the package knows no agent, no grant and no
// terminal, only the words.
//
// # Frames
//
// Both directions are a stream of frames, cut by nothing else (the messages of a
// WebSocket on the way are not significant):
//
//	type (1 byte) | length (4 bytes, big endian) | payload (at most 64 KiB)
//
// A type that the other side may not send, a length outside of the type's bounds, or
// JSON with a field unknown, repeated or in other case ends the connection. Numbers
// are unsigned and big endian. JSON is at most 16 KiB.
//
//	agent → browser                              browser → agent
//	C  Challenge, JSON: the first frame          J  Proof, JSON: the first frame, once
//	W  Welcome, JSON: the proof holds            I  input: bytes for the device
//	R  Refused, JSON: and why; then the end      Z  cols u16 | rows u16: the new size
//	S  cols u16 | rows u16 | bytes: snapshot     T  cols u16 | rows u16: a new shell
//	O  output: bytes of the device               X  empty: close for good
//	N  Notice, JSON: something changed           P  at most 8 bytes, echoed
//	P  the bytes of a P
//	F  answer about files, JSON                  F  operation on files, JSON
//	D  id u32 | bytes: of a file, downwards      D  id u32 | bytes: of a file, upwards
//	K  id u32 | bytes u32: credit for an upload  K  id u32 | bytes u32: credit for a download
//	                                             E  id u32: the end of an upload
//
// A snapshot means: reset the terminal, give it this size, write these bytes. What of
// it does not fit into the frame follows as output.
//
// # Who is there
//
// The agent speaks first. Its challenge holds 32 random bytes and is used for one
// proof. The browser answers within ten seconds with a key that the grant admits and a
// signature over
//
//	"sallyport/v1/attach" 0x00 | SHA-256(payload of the challenge) | SHA-256(
//	    "operate" 0x00 session 0x00 asset 0x00 service 0x00 key line)
//
// where session is the S-... that the engineer means, asset and service are those of
// the challenge, and the key line is OpenSSH's without a comment. ssh-ed25519 signs
// that message; ecdsa-sha2-nistp256 signs its SHA-256, and the signature is r and s,
// 32 bytes each. So a proof is good for one connection, one session, one service, and
// a broker that carries it can neither use it again nor for anything else.
//
// The agent then looks the key up as it does for ssh: the grant decides, not this page.
//
// # What follows
//
// Welcome, then a snapshot where a terminal was running already, then the rest. The
// agent's terminal outlives its connection for a minute; the next proof by any key of
// the same grant finds it as it stands, and takes it over where somebody is there.
// After a notice "ended" or "taken" the agent closes the connection.
package attach
