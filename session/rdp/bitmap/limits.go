package bitmap

// MaxPixels bounds one picture.
const MaxPixels = 3840*2400 + 64*2400
