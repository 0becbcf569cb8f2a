package doctor

import "time"

const perTry = 10 * time.Second // for one look: somebody waits for all of them
