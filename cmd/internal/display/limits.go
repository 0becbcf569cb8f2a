package display

const maxSequence = 64 // bytes of a terminal's control sequence; real ones have under 30
