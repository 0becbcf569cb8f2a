// Package screens proves consoles with the eyes of those who look at them: what is asserted
// is the picture on a display that a viewer of another house drew. It holds tests only.
package screens
