// Package scale records long sessions and carries them all the way: writer, spool, link,
// the broker's archive, vault, replay, verifier, evidence pack. A segment must cost the
// same however many came before it. It holds tests only.
//
// With SALLYPORT_PROVE the recordings are as long as a day of work: 50,000 segments, and
// 20 GB. Both then need twice their size on the disk of TMPDIR.
package scale
