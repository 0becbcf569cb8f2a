// Package socket is how a line of the engine talks to a browser, or to a program that talks
// as one: frames of session/attach wait in a queue of bounded room, so that no word of ours
// waits for a slow network. What a browser says is the line's to read.
package socket
