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
//	                                             L  n u32: of who watches: show this shell
//	                                             A  the code that the operator reads out
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
//	    role 0x00 protocol 0x00 session 0x00 site 0x00 asset 0x00 service 0x00 key line)
//
// where the role is "operate", "watch" or "critical", session is the S-... that the engineer means,
// protocol, site, asset and service are those of the challenge, and the key line is OpenSSH's
// without a comment. ssh-ed25519 signs that message; ecdsa-sha2-nistp256 signs its
// SHA-256, and the signature is r and s, 32 bytes each. So a proof is good for one connection, one session, one service, and
// a broker that carries it can neither use it again nor for anything else.
//
// The agent then looks the key up as it does for ssh: the grant decides, not this page.
// Where the operator at the scanner has to let the session open, notices say so before the
// Welcome, and the browser sends nothing else until then. A notice "code" asks for the code that
// the operator reads out: an A of at most 64 bytes answers it, and another such notice says that
// it was wrong. One that comes when the operator has accepted meanwhile, after the Welcome, is
// passed over. Outside the TLS below the broker can read a code, which is good for this one
// opening, and can try one itself, as often as anybody: three wrong ones end the asking.
//
// The proof also carries an opening, an object of at most 4 KiB, which is the protocol's
// own. For ssh it is the terminal: {"cols","rows","term","shell"}. For consoles (vnc) it is
// empty: {}.
//
// # Critical sections
//
// With the role "critical" the opening is {"seconds","why","end"}: a critical section of the
// session begins, or is over. What is signed then goes on behind the key line, with
//
//	0x00 "declare" 0x00 seconds in decimal 0x00 why      or      0x00 "end"
//
// so that a broker can neither declare one, nor make it longer, nor end it. The answer is a
// notice "said", or R; then the end.
//
// # Consoles
//
// What I and O carry of a console is RFB 3.8 (RFC 6143) with security None, from the agent's
// "RFB 003.008\n" on, which follows the Welcome. The console's size is the device's; there
// is no S, Z, T and nothing about files. Any number of viewers may be there at a time: nobody
// takes the console from another.
//
// Programs other than a browser say all this inside a TLS 1.3 connection in which the agent
// shows its identity key, so that the broker carries nothing that it could read.
//
// # Watching
//
// Somebody of the hospital watches with the role "watch" and a key for which the agent
// itself took a token of the hospital's identity provider. They send P, and L for a
// terminal; anything else ends the connection. The opening is {}. For ssh the notice
// "shells" says which there are and which is shown: the one in which the engineer typed
// last, or the one that L named, and after L 0 the first of these again. Each begins with
// its snapshot, which gives the terminal the engineer's size. Who takes less than comes
// gets snapshots in between. Before the leave to watch is over another token for the same
// session and key prolongs it; else a notice "unseen" ends the connection.
//
// # Files
//
// Operations have numbers, which the browser chooses; an answer bears its operation's.
//
//	{"id":1,"op":"list","path":"/home/x"}      "" is the account's home
//	{"id":1,"op":"get","path"}
//	{"id":1,"op":"put","path","size":n,"replace":bool}
//	{"id":1,"op":"mkdir"|"remove","path"}   {"id":1,"op":"rename","path","to"}
//	{"id":2,"op":"cancel","of":1}
//
// Every field is there, and no other. Anything may be answered by
//
//	{"id":1,"error":{"kind","message","next"}}
//
// which ends it. A listing is answered in as many pages as it needs, all of the same id,
// of which all but the last say more:
//
//	{"id":1,"ok":true,"path":"/home/x","entries":[…],"more":bool,"cut":true}
//	{"name","dir":bool,"size","modified":t,"mode":"rwxr-x---","link":true,"unusable":true}
//
// path is the directory's real one. "cut", in the last page alone, says that there are
// more than 20,000 entries and only these are shown; "link" that the entry is a symbolic
// link; "unusable" that no operation can name it from here. All three are left out where
// they do not hold.
//
// Names are bytes, whatever a device has. In every name and path, both ways, a backslash
// is written \\, and a byte of what is no UTF-8 or no reader could see is written \xHH; an
// agent writes nothing else so, and reads everything.
//
// get: {"id","ok":true,"size"}, then D as far as the browser's K allow, then
// {"id","done":true,"size","sha256"}. put: {"id","ok":true} and K, then the browser's D
// as far as these allow and its E, then {"id","done":true,"size","sha256"}. A D beyond
// the credit ends the connection, after a notice "said". mkdir, remove, rename:
// {"id","ok":true}. cancel is answered {"id","ok":true} whatever it meets; what it
// stopped answers for itself, by an error that says what is on the device now.
//
// Operations behind a freeze wait. They end with the connection: a transfer does not
// outlive it, as the terminal does.
//
// # What follows
//
// Welcome, then a snapshot where a terminal was running already, then the rest. The
// agent's terminal outlives its connection for a minute; the next proof by any key of
// the same grant finds it as it stands, and takes it over where somebody is there.
// After a notice "ended", "taken" or "unseen" the agent closes the connection.
package attach
