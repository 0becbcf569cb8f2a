// Package mpps hears from scanners when they begin and end an examination: DICOM's Modality
// Performed Procedure Step (PS3.4 annex F), of which it is the provider. A scanner is told in
// its own settings to report its procedure steps here, too.
//
//	association   PS3.8: who calls, by AE title and address; both must be an asset's
//	N-CREATE      IN PROGRESS: the asset is scanning
//	N-SET         COMPLETED or DISCONTINUED: it is not; the patient is still on the table
//	C-ECHO        is answered, for whoever sets the scanner up
//
// What comes here only restricts. It is not archived: of a data set one value is read, the
// status; names of patients pass by and are neither kept nor logged. The parser is strict,
// bounds all it reads, and never holds more than a piece of it.
package mpps
