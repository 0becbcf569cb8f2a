package notify

import "time"

// Bounds of the outbox.
const (
	perMinute = 60               // mails of a site about what is asked, and as many about what it decided
	perHour   = 600              // taken for a site of each of the two; more is a flood and is dropped
	ofPerson  = 12               // requests of one engineer in an hour of which a site is told one by one
	ofVendor  = 40               // the same, of all of a vendor's engineers
	ofAlarms  = 12               // alarms of one engineer's sections in an hour that a site is told of; more is a flood and is dropped
	gather    = 10 * time.Minute // in which what is beyond that goes into one mail

	mostTogether = 500 // requests of such a mail

	lease      = 2 * time.Minute  // for one try
	tryTime    = time.Minute      // longest try
	firstWait  = time.Minute      // after a failed try, doubled with each
	longWait   = 2 * time.Hour    // at most
	giveUp     = 24 * time.Hour   // after the mail was written
	remember   = 48 * time.Hour   // what was sent
	lookAgain  = 15 * time.Second // for what other brokers left
	atOnce     = 200              // looked at in one round
	maxMissed  = 100              // people who were not written to about one request, the newest
	maxAddress = 254              // bytes
	maxHost    = 100              // bytes of where somebody signed in
	mostLine   = 900              // bytes of a line that is sent as it is; RFC 5322 has 998
	dialTime   = 20 * time.Second // for a connection to a mail server and each of its answers
)
