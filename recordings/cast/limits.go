package cast

const maxLine = 16 << 10 // bytes of a line that never ends
