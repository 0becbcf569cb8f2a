// Package audit is the broker's audit log: an append-only transparency log in the
// C2SP tlog-tiles layout, with checkpoints signed by the log's key. It knows entries,
// trees and one directory; what an event means and who may read it is not its
// business, and it parses nothing that came from a person.
//
// On disk, under the log's directory (0700, one broker at a time by flock):
//
//	journal             entries since the last full tile, in groups; the only file appended to
//	tile/L/N            full tiles of 256 hashes, immutable
//	tile/entries/N      full bundles of 256 entries (16 bit length, big endian, and bytes), immutable
//	tile/…/N.p/W        the partial ones that the published checkpoint needs; derived
//	checkpoint          the last published checkpoint, a C2SP signed note
//
// Append returns when the entry is durable: entries that wait together are written
// as one group with one checksum and one sync, so a crash leaves a group whole or
// not at all. A full tile is synced before the journal is cut. A checkpoint is
// synced to disk before anybody gets it, and its entries before that. So after a
// crash at any point the log opens with at least every entry that Append reported
// and at least the last checkpoint that anybody saw; where the disk itself lost
// either, Open refuses rather than tell a shorter history. After a failed write or sync
// the group does not count, and before the next one the journal is written anew from
// what the log knows to be acknowledged: so it goes on as soon as the disk does.
//
// A copy of the log, kept up to date in the vault that all nodes share, has the same full
// tiles and bundles, and a head: a checkpoint with the entries since the last full bundle.
// It is written in this order. Whoever knows the log's name and key proves entries from it
// (Copy), and trusts nothing in it that does not fit the signed checkpoint. What was not
// copied when a node was lost, the last second or two, is proved by nobody.
//
// Order of event and effect. An event is in the log before the answer that depends
// on it, and whoever cannot write it refuses - but for what narrows. Kill, freeze,
// revocation, denial, withdrawal and an engineer disabled wait for no disk: their event is
// owed (Owe). A disk that does its part has it at once; otherwise it is kept in memory and
// on a shelf elsewhere, and written before every other event as soon as that can be, with
// the time when it happened, once and in order. A reserve of room on the disk is given up
// for them alone. The others:
//
//   - login, logout, join token, enrolment, recording fetched: event, then effect. A fault in between leaves an event whose effect
//     did not happen; never the reverse.
//   - request, approval, grant admitted: the agent's yes, event, broker's record. If
//     the event cannot be written the caller gets an internal error and the broker
//     records nothing, so nothing can be opened through it. Asking again with the
//     same bytes finds the agent's yes and writes event and record.
//   - activation, thaw: the agent's yes, event, broker's record. Proposal, an engineer
//     enabled, a recording viewed or reviewed: event, then effect.
//   - session opened and ended, recording sealed, changed catalogue: the agent's
//     report, event, record. If the event cannot be written the report is refused
//     and the agent repeats it. A report that comes twice at once can stand in the
//     log twice.
//   - join token, made by a command beside the running broker: a durable note in the
//     log's inbox before the token is printed; the broker takes it into the log
//     before it answers an enrolment, and within a minute otherwise. A note that cannot
//     be read is set aside and named in the log; it stops neither enrolment nor start.
package audit
