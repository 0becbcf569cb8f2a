package sshfiles

const MaxKeys = 3 // that a host offers: servers give up after a few
