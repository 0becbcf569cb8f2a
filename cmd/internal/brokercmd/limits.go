package brokercmd

// maxEvents is how many events of the audit log one answer shows.
const maxEvents = 500
