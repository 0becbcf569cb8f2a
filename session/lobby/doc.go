// Package lobby is where connections wait that have not proven anything yet. It bounds how
// many there are, in all and of one network (or of whatever else they come from), and where there is no place left it sheds one
// instead of refusing: first of those who hold the most, there whoever says nothing, of
// these the one that has waited longest. Whoever has proven something leaves the lobby, is
// counted no more and is never shed.
//
// Being shed is cheap for an honest client, which tries again, and to hold a place costs a
// stranger what it costs to prove something: silence holds nothing. Handshakes, which cost us
// more than a stranger, have a share a second of each network that nobody proved anything from.
package lobby
