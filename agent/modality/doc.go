// Package modality says what state each scanner is in, from what several sources say of it.
//
// A source tells one state at a time, and tells it again before it is stale. The most
// restrictive word wins; a source that was never heard, or not for too long, counts as
// unknown, which counts as a patient on the table. So a source that has nothing against a
// session says in-service, the state that restricts nothing, and the others decide.
//
//	operator     a person's switch, kept on disk; what it permits expires
//	key-switch   a wire of the hospital's own
//	schedule     the hospital's hours; idle at the most
//	mpps, probe  what devices say: they only restrict
//
// Nothing that a device says permits anything: an examination that is completed leaves the
// patient on the table. So a scan, or a patient, that a device reports ends what the operator
// declared before. Somebody has to look, and to declare it again.
//
// What MPPS says of an examination that ended stands until the operator permits something
// later: then somebody has looked. What it says of one in progress nobody answers.
package modality
