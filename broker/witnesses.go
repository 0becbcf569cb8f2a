package broker

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/fleet"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/link"
)

func auditDir(cfg Config) string { return filepath.Join(cfg.State, "audit") }

func peersFile(cfg Config) string { return filepath.Join(cfg.State, "peers.json") }

// origin names this node's audit log among those of all nodes behind one address.
func (c Config) origin() (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", fmt.Errorf("name the audit log: %w", err)
	}
	return u.Host + "/" + c.Node, nil
}

// logKey is the one key that vouches for what a node saw: the log, heads and packs. Agents
// pin it.
func (c Config) logKey() (ed25519.PrivateKey, error) {
	return audit.LoadKey(filepath.Join(c.State, "log.key"))
}

// AuditNode is what a hospital accepts of a node: its audit log's name and key. The key is
// made where there is none yet.
func AuditNode(cfg Config) (session.Node, error) {
	origin, err := cfg.origin()
	if err != nil {
		return session.Node{}, err
	}
	if err := durable.MakeDir(cfg.State); err != nil {
		return session.Node{}, err
	}
	key, err := cfg.logKey()
	if err != nil {
		return session.Node{}, err
	}
	return session.Node{Origin: origin, Key: session.KeyLine(key.Public().(ed25519.PublicKey))}, nil
}

func (b *Broker) openAudit() (*audit.Log, error) {
	origin, err := b.cfg.origin()
	if err != nil {
		return nil, err
	}
	if b.signer, err = b.cfg.logKey(); err != nil {
		return nil, err
	}
	return audit.Open(audit.Config{Dir: auditDir(b.cfg), Key: b.signer, Origin: origin, Now: time.Now,
		Shelf: owedShelf{b.store, origin}, Appended: b.appended})
}

// openAmongPeers is this node among the others that share its store.
func (b *Broker) openAmongPeers() error {
	var err error
	b.peers, err = openPeers(&peers{board: b.store, log: b.audit, files: b.vault, file: peersFile(b.cfg), now: time.Now, out: b.log,
		sign: func(c witness.Checkpoint, at time.Time) ([]byte, error) {
			return witness.Cosign(c, b.audit.Node().Origin, b.signer, at)
		}})
	return err
}

// auditStart takes up what the log was owed and left, and says what there is to write of
// the start: that the broker runs, and with which configuration. A disk that takes no writes
// does not stop it: what narrows needs none.
func (b *Broker) auditStart(ctx context.Context) (started witness.Event, err error) {
	if err := b.audit.Recall(ctx); err != nil {
		return started, err
	}
	if err := takeNotes(ctx, b.audit, b.log); err != nil {
		b.log.Error("the audit log cannot be written", "err", err)
	}
	digest, err := b.cfg.digest()
	return witness.Event{Event: witness.BrokerStarted, Details: map[string]string{
		"node": b.cfg.Node, "version": Version, "configuration": digest}}, err
}

// digest names a configuration in the audit log.
func (c Config) digest() (string, error) {
	if u, err := url.Parse(c.Redis.URL); err == nil {
		c.Redis.URL = u.Redacted() // nobody shall guess the password from the hash
	}
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("hash the configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// enrolments is the audit log as enrolling wants it: the token's own event first.
type enrolments struct {
	log *audit.Log
	out *slog.Logger
}

// takeNotes brings what was left into the log. A note that stays where it is stops nothing.
func takeNotes(ctx context.Context, log *audit.Log, out *slog.Logger) error {
	err := log.TakeNotes(ctx)
	var bad *audit.BadNotes
	if errors.As(err, &bad) {
		out.Error("notes stay in the audit log's inbox: who left them must be this program's own user", "err", err)
		return nil
	}
	return err
}

func (e enrolments) Append(ctx context.Context, event witness.Event) error {
	if err := takeNotes(ctx, e.log, e.out); err != nil {
		return err
	}
	return e.log.Append(ctx, event)
}

// appended wakes the round for the agents of an event's site. What finds no room is
// made good within a minute.
func (b *Broker) appended(e witness.Event) {
	if e.Site == "" {
		return
	}
	select {
	case b.news <- e.Site:
	default:
	}
}

// keepWitnesses brings every agent the checkpoints that concern it: when it connects,
// after each event of its site, and every minute.
func (b *Broker) keepWitnesses(ctx context.Context) error {
	r := &round{b: b, sizes: map[fleet.Agent]int64{}}
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	for {
		sites := map[string]bool{}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			sites = nil // all
			if err := takeNotes(ctx, b.audit, b.log); err != nil {
				b.log.Error("the audit log's inbox stays full", "err", err)
			}
		case site := <-b.news:
			sites[site] = true
			for more := true; more; {
				select {
				case site = <-b.news:
					sites[site] = true
				default:
					more = false
				}
			}
		}
		r.tell(ctx, sites)
	}
}

// round is what is known of the agents' checkpoints.
type round struct {
	b     *Broker
	mu    sync.Mutex
	sizes map[fleet.Agent]int64 // of the last checkpoint that each said it has
}

// tell gives the agents of some sites, or all, the newest checkpoint.
func (r *round) tell(ctx context.Context, sites map[string]bool) {
	var group errgroup.Group
	group.SetLimit(roundWidth)
	for _, a := range r.b.fleet.Connected() {
		if sites != nil && !sites[a.Site] {
			continue
		}
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, roundWait)
			defer cancel()
			if err := r.deliver(ctx, a); err != nil {
				r.b.log.Warn("an agent did not take the audit log's checkpoint", "site", a.Site, "agent", a.Agent, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait()
}

// deliver proves from where the agent stands. The first try guesses; an agent that
// stands elsewhere says where.
func (r *round) deliver(ctx context.Context, a fleet.Agent) error {
	r.mu.Lock()
	from := r.sizes[a]
	r.mu.Unlock()
	for range 3 {
		note, proof, err := r.b.audit.Consistency(from)
		if err != nil {
			return err
		}
		now, err := witness.ReadCheckpoint(note)
		if err != nil {
			return err
		}
		v, err := r.b.fleet.Deliver(ctx, a.Site, a.Agent, link.Deliver{Kind: link.DeliverCheckpoint, Request: note, Grant: proof.Bytes()})
		if err != nil {
			return err
		}
		if !v.OK {
			return &session.Error{Kind: session.Refused, Message: v.Message, Next: v.Next}
		}
		r.mu.Lock()
		r.sizes[a] = int64(v.Count)
		r.mu.Unlock()
		if int64(v.Count) >= now.Size {
			return nil
		}
		from = int64(v.Count)
	}
	return fmt.Errorf("it does not say where it stands")
}
