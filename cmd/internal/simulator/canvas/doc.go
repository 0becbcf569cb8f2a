// Package canvas draws what the consoles of simulated devices show: text, boxes, buttons and
// a few shapes, as 0x00RRGGBB pixels. It knows no device and no protocol, so that whatever
// serves a console, by RFB or otherwise, shows the same picture.
//
// Letters are those of the Go project's own fonts (font/LICENSE), drawn once, with hinting,
// into the pictures in font: ASCII, Latin-1, and what German and French need beside it. That
// is 20 KB and the standard library's PNG, where a font engine would be a module more. Eight
// shades a letter keep text in few colours, which is what consoles' encodings are good at.
package canvas
