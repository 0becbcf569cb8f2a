package broker

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/recordings/vault"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// OperatorEvents are events of the broker's nodes that belong to no site: nobody reads them
// through the broker. The oldest come first.
type OperatorEvents struct {
	Events []OperatorEvent
	Logs   []OperatorLog // of all nodes that this one knows, its own first
}

// OperatorEvent is an event of one of the logs.
type OperatorEvent struct {
	Log string
	witness.Event
}

// OperatorLog is how far a node's log was read.
type OperatorLog struct {
	Log     string
	Older   int64  // the number before which nothing is shown; 0: there is nothing
	LeftOut string // why nothing of it is shown
}

// OperatorQuestion is what is asked: the newest events of all logs, or of one, or those of one
// before a number where that is not 0.
type OperatorQuestion struct {
	Last   int
	Log    string
	Before int64
}

// ReadOperatorEvents reads beside the running broker: this node's log where it lies, those
// of the other nodes that it has seen from their copies in the vault. A log of which nothing
// is shown is named with the reason.
func ReadOperatorEvents(ctx context.Context, cfg Config, q OperatorQuestion) (found OperatorEvents, err error) {
	origin, err := cfg.origin()
	if err != nil {
		return found, err
	}
	if _, err := os.Stat(auditDir(cfg)); errors.Is(err, os.ErrNotExist) {
		return found, session.Errorf(session.Refused, "This node has no audit log yet").WithNext("Start it first: sallyport-broker serve")
	}
	others, err := keptPeers(peersFile(cfg))
	if err != nil {
		return found, session.Errorf(session.Internal, "What this node keeps of the others cannot be read: %w", err)
	}
	origins := append([]string{origin}, slices.Sorted(maps.Keys(others))...)
	switch {
	case q.Log != "" && !slices.Contains(origins, q.Log):
		return found, session.Errorf(session.Invalid, "This node knows of no audit log %.80q", q.Log).WithNext("See their names with: sallyport-broker audit")
	case q.Log == "" && q.Before > 0 && len(origins) > 1:
		return found, session.Errorf(session.Invalid, "There are several audit logs, and a number is of one of them").WithNext("Say which with --log NAME; sallyport-broker audit names them.")
	}
	for _, o := range origins {
		one := OperatorLog{Log: o}
		err := errNotAsked
		if q.Log == "" || q.Log == o {
			err = found.take(ctx, cfg, &one, others[o], q)
		}
		if err != nil && (o == origin && q.Log == "" || o == q.Log) {
			return found, session.Errorf(session.Internal, "The audit log %s cannot be read: %w", o, err)
		}
		one.LeftOut = whyLeftOut(err)
		found.Logs = append(found.Logs, one)
	}
	found.cut(q.Last)
	return found, nil
}

var errNotAsked = errors.New("it was not asked for")

func whyLeftOut(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errNotAsked):
		return err.Error()
	case errors.Is(err, fs.ErrNotExist):
		return "there is no copy of it in this node's vault"
	}
	return "its copy in this node's vault is not sound: " + err.Error()
}

// operatorLog opens this node's log, which no peer is, or the copy of another's.
func operatorLog(ctx context.Context, cfg Config, origin string, of peer) (*audit.Reading, error) {
	if of.Key == "" {
		key, err := cfg.logKey()
		if err != nil {
			return nil, err
		}
		return audit.Read(auditDir(cfg), key.Public().(ed25519.PublicKey))
	}
	if _, err := os.Stat(cfg.Vault); err != nil { // opening would make it
		return nil, err
	}
	files, err := vault.OpenDirectory(cfg.Vault)
	if err != nil {
		return nil, err
	}
	c, err := audit.OpenCopy(ctx, files, session.Node{Origin: origin, Key: of.Key})
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	return c.Reading(), nil // which goes on reading files
}

// take adds the newest events of a log, the newest first.
func (f *OperatorEvents) take(ctx context.Context, cfg Config, one *OperatorLog, of peer, q OperatorQuestion) error {
	log, err := operatorLog(ctx, cfg, one.Log, of)
	if err != nil {
		return err
	}
	var events []OperatorEvent
	looked, bad := 0, error(nil)
	older, more, err := log.Find(q.Before, func(entry []byte) bool {
		var e witness.Event
		if e, bad = witness.ParseEvent(entry); bad != nil {
			return true
		}
		if looked++; e.Site == "" {
			events = append(events, OperatorEvent{one.Log, e})
		}
		return len(events) >= q.Last || looked >= maxOperatorScan
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	if more {
		one.Older = older
	}
	f.Events = append(f.Events, events...)
	return nil
}

// cut leaves the newest of all logs together, the oldest first. What is cut off is older
// than what is shown, and each log says where it goes on.
func (f *OperatorEvents) cut(most int) {
	slices.SortStableFunc(f.Events, func(a, b OperatorEvent) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Log, b.Log), cmp.Compare(b.Seq, a.Seq))
	})
	for _, e := range slices.Backward(f.Events[min(most, len(f.Events)):]) {
		for i := range f.Logs {
			if f.Logs[i].Log == e.Log {
				f.Logs[i].Older = max(f.Logs[i].Older, e.Seq+1)
			}
		}
	}
	f.Events = f.Events[:min(most, len(f.Events))]
	slices.Reverse(f.Events)
}

// keptPeers is what a node keeps of the others, by the origins of their logs.
func keptPeers(file string) (map[string]peer, error) {
	kept := map[string]peer{}
	raw, err := durable.Read(file, maxPeersFile)
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if errors.Is(err, os.ErrNotExist) {
		return kept, nil
	}
	return kept, err
}
