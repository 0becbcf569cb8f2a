// Package crash kills the agent and the broker at random moments while real ssh
// sessions print numbered lines and take numbered input, and compares what was on
// the screens, what reached the device and what the recordings hold. It holds tests
// only.
//
// SALLYPORT_CRASHES sets the number of kills, SALLYPORT_SEED repeats a run's choices.
package crash
