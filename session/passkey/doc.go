// Package passkey checks what a browser brings back from a passkey or security key (W3C Web
// Authentication) for a page of the hospital's own: strictly, and with the standard library
// alone. It keeps nothing and knows no network: who registered a key, that one answer counts
// once, and how far a key has counted is for its caller to remember.
//
// The challenge is the hash of a grant's exact bytes, so an answer is for that grant and no
// other. The identifier that a key is bound to is the page's own host: a browser lets no page
// of another host, such as the broker's, ask for it. The origin, which names the port too, is
// compared byte by byte all the same, and so a list of related origins (/.well-known/webauthn),
// which a console's host should not serve, changes nothing. What a maker of keys attests of itself is not judged.
package passkey
