package wording

const maxUnknown = 64 // bytes of a word that is not ours
