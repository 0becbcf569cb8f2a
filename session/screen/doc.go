// Package screen is what a device's console shows, whichever protocol draws it: pixels,
// size, cursor, what of it is hidden from everybody, and who looks.
//
// A device draws on the back, which nobody sees. Show compares the back with the front,
// hands what changed to the Keeper (the recording), and only when that is on record does
// the front change and every View learn of it: no pixel is seen that is not recorded.
// What masks hide is painted over on the back already, so neither the front, nor a
// recording, nor a thumbnail ever holds those pixels.
//
// One goroutine draws. Views take at their own pace: a View that takes nothing costs a
// bitmap, and holds up nobody.
package screen
