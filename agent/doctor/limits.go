package doctor

import "time"

const perTry = 10 * time.Second // for one look: somebody waits for all of them

const maxClaim = 400 // bytes of a claim in a sentence
