// Package session holds the nouns and rules of the house: sites, assets and
// services, people, requests, grants, sessions, recordings, and what may follow
// what. Every other package may import it; it imports nothing but the standard
// library and knows no wire, no file and no clock (time comes in as a parameter).
//
// The life of an access, as facts that accumulate (status is derived, never stored):
//
//	request ──approval(s)──▶ grant ──first connection──▶ session ──▶ ended(reason)
//	   │                       │                            │
//	   ├─ denied               └─ lapsed: nobody opened it   ├─ live ⇄ frozen
//	   ├─ withdrawn               before not-after           └─ recordings, one per
//	   └─ lapsed: nobody answered                               device connection
//
// One grant opens at most one session, so a session is named by its grant's id.
package session
