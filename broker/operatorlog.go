package broker

import (
	"crypto/ed25519"
	"errors"
	"os"
	"slices"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// OperatorEvents are events of this node that belong to no site: nobody reads them through
// the broker. The oldest come first.
type OperatorEvents struct {
	Log    string // its name
	Events []witness.Event
	Older  int64 // the number before which nothing was looked at; 0: there is nothing
}

// ReadOperatorEvents reads the newest n of them, of those before a number where that is not 0.
// It reads beside the running broker.
func ReadOperatorEvents(cfg Config, n int, before int64) (found OperatorEvents, err error) {
	if found.Log, err = cfg.origin(); err != nil {
		return found, err
	}
	if _, err := os.Stat(auditDir(cfg)); errors.Is(err, os.ErrNotExist) {
		return found, session.Errorf(session.Refused, "This node has no audit log yet").WithNext("Start it first: sallyport-broker serve")
	}
	key, err := cfg.logKey()
	if err != nil {
		return found, err
	}
	log, err := audit.Read(auditDir(cfg), key.Public().(ed25519.PublicKey))
	if err != nil {
		return found, session.Errorf(session.Internal, "The audit log cannot be read: %w", err)
	}
	looked, bad := 0, error(nil)
	older, more, err := log.Find(before, func(entry []byte) bool {
		var e witness.Event
		if e, bad = witness.ParseEvent(entry); bad != nil {
			return true
		}
		if looked++; e.Site == "" {
			found.Events = append(found.Events, e)
		}
		return len(found.Events) >= n || looked >= maxOperatorScan
	})
	if err = errors.Join(err, bad); err != nil {
		return found, session.Errorf(session.Internal, "The audit log cannot be read: %w", err)
	}
	if more {
		found.Older = older
	}
	slices.Reverse(found.Events)
	return found, nil
}
