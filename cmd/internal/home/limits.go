package home

const MaxFile = 1 << 20 // bytes of each of the small files that people keep
