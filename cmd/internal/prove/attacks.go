package main

// attack is a row of the table: what is tried, what must hold, and the tests that try it. A
// test that prints a line "ATTACK | what | bound | measured | verdict" speaks for itself; of
// the others the table says how many ran, and how long.
type attack struct {
	what, bound string
	pkg, tests  string // as go test's -run takes them
}

// attacks are all rows, by what is attacked.
func attacks() []attack {
	var all []attack
	for _, of := range [][]attack{ports(), shares(), evidence(), words(), control()} {
		all = append(all, of...)
	}
	return all
}

// ports are attacks of those who have proven nothing.
func ports() []attack {
	return []attack{
		{"10,000 connections of 100 networks and one that wants every place, for a minute",
			"no live session drops; a sign-in and an agent's way back <= 2 s", "cmd/internal/crash", "^TestFloodFromManyNetworks$"},
		{"silent connections and handshakes half begun",
			"the oldest silent one of the largest share goes; accept never waits", "session/lobby", "^Test"},
		{"handshakes without end from one network", "its share a second; a network that somebody proved something from is never slowed, and has the last descriptors", "session/lobby", "^TestHandshakesHaveAShare$"},
		{"the same at the doors", "others go on", "broker", "^TestHandshakesOfANetworkAreBounded$"},
		{"the same at the jump host", "others go on", "broker/sshd", "^TestHandshakesOfANetworkAreBounded$|^TestLastDescriptorsAreForKnownNetworks$"},
		{"an answer that nobody takes", "cut off after 30 s a piece", "broker", "^TestStrangersDoNotCloseThePort$|^TestWritesHaveATime$|^TestWhatWasTakenOverIsNotShed$"},
		{"a stranger who fails to sign in, ten times and ten thousand times",
			"nobody of that network or account is kept out; one entry in ten minutes counts it", "broker/identity", "^TestAStrangerLocksNobodyOut$|^TestRefusalsOfManyNetworksHaveABound$|^TestRefusalsAreNotLostWithTheLog$|^TestTheOldestLoginsMakeRoom$"},
		{"the same by browser at the real door", "people sign in beside it", "cmd/internal/roundtrip", "^TestStrangersWriteNothingAndLockNobodyOut$|^TestLoginsAreLimited$"},
		{"silent connections to the port of procedure steps, strangers there, and what is no DICOM", "a scan that begins is heard; who is no scanner is not read", "agent/modality/mpps", "^TestAFloodKeepsTheScannerOfNobodyOut$|^TestStrangersAreNotRead$|^TestWhatIsNoDICOMIsAborted$|^TestWhoIsNotKnownChangesNothing$"},
		{"another name in the Host header, and many calls by one at once", "421, once a connection", "broker/api", "^TestOnlyTheBrokersOwnNameIsAnswered$|^TestAFloodByAnotherNameIsAnsweredOnce$"},
	}
}

// shares are attacks of people who may come in.
func shares() []attack {
	return []attack{
		{"one engineer, or one vendor, asks for more than an agent keeps", "others ask, extend and are ended", "agent/ledger", "^TestOnesShareOfTheLedger|^TestEverythingCanBeFrozenBesideMuch$"},
		{"one engineer, vendor or scanner takes an agent's connections; strangers its streams", "others are let in; the proven are never shed", "agent/engine", "^TestOnesShareOf|^TestStrangersAreShed"},
		{"one engineer or vendor takes an agent's streams at the broker", "others go on", "broker/fleet", "^TestOnesShareOf"},
		{"one person, or a crowd at one session, takes all places to watch from", "others watch", "agent/engine/shell", "^TestOnesShareOfWatching$"},
		{"one session takes an agent's channels", "others go on", "agent/engine/shell", "^TestOnesShareOf"},
		{"a scanner floods 32 channels of one session that nobody reads", "2 MiB each at the agent and 2 at the engineer", "cmd/internal/hostile", "^TestChannelsThatNobodyReadsHoldTheirWindows$"},
		{"browsers that ask and take nothing", "their session's share, and a share of all", "agent/engine/shell", "^TestBrowsersThatTakeNothingHoldTheirShare$"},
		{"requests without end before a kill", "it is taken at once", "session/link", "^TestAFloodOfQuestionsKeepsNothingUrgentWaiting$|^TestUnansweredQuestionsLeaveRoomForUrgentOnes$"},
		{"recordings of one person or vendor fill an agent's disk", "a half, two thirds of it", "agent/spool", "^TestOnesShareOf"},
		{"recordings of one hospital fill the broker's disk, many at once, or after the store was lost", "its share, counted with what arrives and from the vault itself", "broker", "^TestASiteFillsItsShareOfTheDiskAndNoMore$|^TestTheQuotaCounts"},
		{"transfers and listings that are made to be held", "32 MiB of a session", "session/files", "^TestReadsOutOfOrderAreBounded$|^TestSingleBytesOutOfOrderAreBounded$|^TestListingsOfAHostileDeviceAreBounded$|^TestDownloadsThatNobodyTakesAreBounded$"},
		{"one engineer with many sessions, or one vendor, fills what transfers and browsers may hold", "a half, five eighths of it; colleagues and others have theirs", "session/files", "^TestOnesShareOfWhatFilesHold$"},
		{"hospitals, scanners, decisions and recordings without number", "a call costs no more for others' data, and each decision is read once", "broker/access", "^TestOthersDataCostsNothing$|^TestADecisionIsReadOnce$|^TestCallsBesideMuch$"},
		{"one engineer takes all that they can of everything at the broker's door", "a colleague and another vendor get theirs; what narrows goes through", "broker/api", "^TestSharesMatrix$"},
		{"one vendor asks without end what an agent has to look at", "a half of what it does for engineers; others ask, and the hospital decides", "broker/access", "^TestOneVendorDoesNotFillWhatAnAgentLooksAt$"},
		{"queues of people of one organisation", "colleagues and others have their turn, and nobody waits for ever", "broker/turns", "^Test"},
		{"requests that an agent refuses, each with a key of its own", "what they leave ends", "broker/access", "^TestKeysAndGrantsEndWithTheirRequests$"},
		{"keys in Redis that nobody describes, or that never end", "each family has an owner, a bound and an end", "broker/store/storetest", "^TestEveryKindIsDescribed$|^TestWhatIsNotDescribedIsFound$"},
		{"one organisation that reads, searches and verifies all the time", "others have their turn", "broker/api", "^TestWorkIsShared$|^TestANeighboursFloodStopsNobody$"},
		{"six hundred requests of one engineer", "the site's post has room for others, and for what the hospital decides", "broker/notify", "^TestOneEngineerDoesNotFill|^TestOneVendorDoesNotFill|^TestDecisionsHaveTheirOwnPost$"},
	}
}

// evidence are attacks on what is written down.
func evidence() []attack {
	return []attack{
		{"failed, short and torn writes of the audit log", "it mends itself; nothing acknowledged is lost or doubled", "broker/audit", "^TestAFailedWriteIsMendedWhenTheDiskTakesWritesAgain$|^TestRandomFaultsLoseAndDoubleNothingThatWasAcknowledged$"},
		{"a full or hanging disk of the audit log, and then a kill", "kill, freeze, revoke and deny wait for no disk; their events come, once and in order", "broker/audit", "^TestWhatIsOwed|^TestAFullDiskTakesWhatIsOwed$"},
		{"the same, asked by an approver", "the agent is told", "broker/access", "^TestKillFreezeRevokeAndDenyWaitForNoLog$"},
		{"a log that was rewritten, an older copy, a fork", "the agent finds it", "cmd/internal/hostile", "^TestTheAgentFindsARewrittenLog$|^TestAnOlderCopyOfTheLogIsFound$|^TestAForkOfAnAcceptedLogIsNamed$"},
		{"a node is lost with its disk, or its log's copy is; auditors and operators ask another", "its log is shown and proved from the copy; what is left out is named", "cmd/internal/crash", "^TestANodeIsLost$"},
		{"a full disk at the agent", "no byte unrecorded", "cmd/internal/hostile", "^TestDiskFull$"},
		{"the file system of an agent is really full while people work", "sessions end <= 1 s with the reason; kill and freeze get onto it and hold over a restart; no byte unrecorded", "cmd/internal/crash", "^TestTheAgentsDiskIsFull$"},
		{"the file system of a broker is really full, and whoever fills it takes its reserve too", "kill, freeze, revoke and deny are answered and done; not ready meanwhile; the log mends itself and has them once, in order", "cmd/internal/crash", "^TestTheBrokersDiskIsFull$"},
		{"the disk of an agent takes no byte any more while people work, and when it starts", "cut off, frozen, killed <= 1 s; no byte unrecorded; nothing opens", "cmd/internal/crash", "^TestTheAgentsDiskBreaks$"},
	}
}

// words are attacks on what people read and sign.
func words() []attack {
	return []attack{
		{"a broker that forges requests, approvals and grants", "nothing opens", "cmd/internal/hostile", "^TestBroker"},
		{"a broker exchanges the names of scanners, people, requests, sessions and recordings in answers, and in questions as well", "refused in words, or only what was signed is shown", "cmd/internal/crash", "^TestABrokerThatRenames$"},
		{"an identity provider's names: markup, links, marks of direction, controls, 10 KB, and somebody of another company", "nothing of it in lists, requests, approvals, mails and the audit log, in words or JSON", "cmd/internal/crash", "^TestNamesOfAHostileProvider$"},
		{"reasons and names that nobody can read, or that drive a terminal", "refused, or made legible", "session/wording", "^TestSilenceIsNoReason$|^TestNothingHostileGetsThrough$"},
		{"every call by everybody who may not", "the same answer, nothing told", "broker/api", "^TestMatrix$|^TestListsAreFenced$|^TestForeignIDsTellNothing$|^TestNoSpellingGetsIn$"},
	}
}

// control are attacks on kill, freeze and time.
func control() []attack {
	return []attack{
		{"any order of attach, extend, activate, restart, clock steps, freeze, thaw, kill, revocation and disabled engineer, while everybody types", "no byte passes after what is acknowledged", "agent", "^TestNothingPassesAfterAKillOrAFreeze$"},
		{"connections that type on through a freeze and a kill, at a device that counts", "0 bytes after it is acknowledged; all on record", "agent/engine/shell", "^TestACountingDevice"},
		{"connections that type on while the scanner's state forbids it, over random states", "0 bytes at the device, stopped within 1 s, lifted by hand alone", "agent/engine/shell", "^TestNoInputReachesADeviceWhoseStateForbidsIt$"},
		{"critical sections, states and freezes at random, while two sessions type", "in a section it goes on, all else is frozen, and so is it after", "agent/engine/shell", "^TestRandomSectionsAndStates$|^TestACriticalSectionIsNotCutByTheState$"},
		{"a broker, another class, another key, a second or longer one claims a critical section, or changes one on the way", "refused by the agent, in words", "agent/engine/shell", "^TestWhoDeclaresNoCriticalSection$"},
		{"a session that goes on past its deadline by a critical section", "ends with the section; a restart inside gives nothing", "agent/engine/shell", "^TestASectionOutlastsTheDeadlineAndNoMore$"},
		{"an engineer guesses the operator's code over restarts of the agent", "24 tries of one grant", "agent/engine/shell", "^TestARestartGivesNoNewTries$"},
		{"an engineer connects and goes, again and again, while the operator is asked", "32 askings of one grant", "agent/engine/shell", "^TestTheBrokerIsToldOfConsents$"},
		{"an engineer guesses the operator's code", "24 tries of one grant", "agent/engine/shell", "^TestOnlyTheRightCodeOpens$"},
		{"an agent tells of passkeys that nobody registered, without end", "256 events of an agent a day, of its own hospital's people alone", "broker/access", "^TestPasskeysWithoutEnd$|^TestAPasskeyOfSomebodyElseIsNotTakenDown$"},
		{"an agent reports askings, wrong codes and consents without end, of other services and times", "200 events of one session; nothing that was answered changes, and nobody is let in", "broker/access", "^TestAHostileAgentsAskings$"},
		{"one engineer, vendor or scanner takes all that operators are asked", "8, a half and a quarter of 64; others are let in", "agent/engine", "^TestAskingsAreShared$"},
		{"keys and clicks without end at a console whose scanner's state forbids it", "0 reach it, the picture goes on", "agent/engine/screen", "^TestNoKeyReachesAConsoleWhoseStateForbidsIt$"},
		{"two people type and click at a real VNC console while the scanner's state forbids it", "0 keys or clicks heard by its X server", "agent/engine/screen", "^TestNoKeyReachesARealConsoleWhoseStateForbidsIt$"},
		{"a scanner's device, a silent source or a restart that would permit what nobody declared", "only a person's word relaxes, and it ends", "agent/modality", "^TestADeviceNeverPermits$|^TestOneMoreSourceNeverRelaxes$|^TestTimeAloneNeverRelaxes$"},
		{"a line of the agent that forgets the gate", "its connection sends nothing", "agent/device", "^TestNothingIsSentPastTheGate$"},
		{"the same at a console", "no key, no movement, no text", "agent/engine/screen", "^TestNothingIsDonePastTheGate$"},
		{"a freeze or a kill that meets a login to a device", "nothing is sent after it is acknowledged", "agent/engine", "^TestNothingIsSentToADeviceThatIsBeingReached$"},
		{"a broker, a vendor, an old or a borrowed token lets somebody watch", "refused by the agent, in words", "agent", "^TestTheBrokerLetsNobodyWatch$"},
		{"somebody who watches types, resizes, moves files, works, watches on", "nothing passes; cut off with leave or session", "agent/engine/shell", "^TestWatch"},
		{"consoles of every protocol and channels of ssh, together, fill the agent's memory", "one budget that fits the unit; a third a session, a half a person, five eighths a vendor", "agent", "^TestSessionsFitTheUnit$|^TestACrowdOfOneVendorLeavesRoom$"},
		{"a real agent, engineers and a hostile scanner that make it hold what they can", "the most it ever had is below nine tenths of the unit's GOMEMLIMIT", "cmd/internal/crash", "^TestTheAgentStaysWithinItsUnit$"},
		{"a real agent whose scanners show noise in the largest pictures there are, to viewers of whom two of five read nothing", "the same; one console more than an engineer's is refused", "cmd/internal/crash", "^TestTheAgentStaysWithinItsUnitWithConsoles$"},
		{"terminals of which each column is dear to draw, for recordings, browsers and who watches", "a device takes no more than is asked for, and a vendor no more than its share; others' are drawn", "agent/engine/shell", "^TestTerminalsThatAreDrawnTakeTheirShare$"},
		{"whatever a device sends to a terminal", "no more memory than was asked for", "session/terminal/mirror", "^TestNoTerminalTakesMoreThanItsCost$|^TestStreamsAskForRoom$"},
		{"openings, changes and ends in any order", "never over, and all given back", "session/held", "^TestMemoryIsNeverOver$|^TestABudgetIsShared$"},
		{"consoles that say they are huge fill the agent's memory", "10 Mpx a session, 24 a vendor, 40 in all", "agent/engine/screen", "^TestHugeConsolesTakeTheirShare$|^TestProtocolsShareTheAgentsMemory$"},
		{"the clock set back over restarts", "no session ends later, nothing opens", "agent/ledger", "^TestAClockSetBackOverARestart$"},
		{"a device that paints what is most work to draw, while it is frozen and killed", "acknowledged <= 1 s, sealed <= 5 s after", "cmd/internal/hostile", "^TestAPainterHoldsNothingUp$"},
		{"64 KiB of a device that keep whoever draws its terminal busy", "50 ms of a processor", "session/terminal/mirror", "^TestNoOutputCostsMoreThanItsLength$"},
		{"64 KiB of a device that keep whoever reads its transcript busy", "50 ms of a processor", "recordings/replay/terminal", "^TestNoTranscriptCostsMoreThanItsLength$"},
		{"what a replay does to a person's terminal", "all of it is undone, however it ends", "cmd/sallyport", "^TestPlayUndoesWhatItDid$"},
		{"a request that the ledger has forgotten comes again, under any clock", "nothing is taken twice", "agent/ledger", "^TestNothingIsForgottenThatCouldStillBeUsed$"},
		{"a kill on a full disk", "what it covers is closed on disk", "agent/ledger", "^TestAKillOnAFullDisk$|^TestCloseWhere"},
		{"consoles that break RDP, and floods of it", "each is left; 70 MB held at most", "session/rdp", "^TestHostileConsolesAreLeft$|^TestFloodsAreBounded$"},
		{"consoles that lie about what they know, in CredSSP", "left; none hears the password", "session/rdp/nla", "^TestHostileConsolesAreLeft$|^TestEveryVersion$"},
		{"STOP on the agent's page with broker, Redis and identity providers all stopped", "device connection closed <= 300 ms", "cmd/internal/crash", "^TestStopWithEverythingElseStopped$"},
		{"another site, host or network presses on the agent's page", "nothing is done", "agent/console/page", "^TestNobodyPressesFromElsewhere$|^TestOnlyTheHospitalsOwnNetworkIsListenedTo$"},
		{"an approval on the agent's page by a PIN, from another origin, with another's answer, or twice", "nothing is approved", "agent/console/page", "^TestATripEndsWhereItBegan$|^TestNobodyElseDecidesOnThePage$"},
		{"a passkey of another page or grant, with another challenge, cloned, without its user, revoked, or brought by the broker", "none counts", "session/grant", "^TestPasskeys|^TestAPasskeysAnswerIsNoToken$|^TestARevokedPasskeyOpensNothing$|^TestOnePersonByTokenAndPasskey$|^TestAuditOfAPasskeyFindsWhatWasExchanged$|^TestAConsoleChecksAPasskey$"},
		{"what a browser brings as a passkey: cut, changed, nested, too large", "refused", "session/passkey", "^Test"},
		{"guesses of the page's PIN, and connections held, to lock STOP", "few guesses; STOP always", "agent/console/page", "^TestWhatNarrowsNeedsNoSignIn$|^TestGuessesOfAllTogether$|^TestConnectionsOfOthersAndOfTooMany$"},
		{"devices that misbehave, flood, hang and lie", "the session ends, and nothing else", "cmd/internal/hostile", "^TestDevices|^TestKillDuringLogin$"},
	}
}
