package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// The nodes of a broker watch each other's audit logs. Each posts, in the store that all
// share, its newest checkpoint with proofs from where the others stand; each that finds a
// log going on from what it saw before cosigns it and posts the line. A node that is alone
// posts its name and does nothing else.

const (
	bulletinKind   = "auditlog"
	bulletinsUnder = "nodes"
)

// bulletin is what a node tells the others. Only that node writes it.
type bulletin struct {
	Node   session.Node        `json:"node"`
	Note   []byte              `json:"note,omitempty"`
	Proofs map[string][]byte   `json:"proofs,omitempty"` // by the origin of who is to check it
	Seen   map[string]sighting `json:"seen,omitempty"`   // of the others' logs, by origin
}

// sighting is a checkpoint that a node has cosigned.
type sighting struct {
	Size int64  `json:"size"`
	Line []byte `json:"line"`
}

// peer is what a node keeps of another one's log; the key is pinned at first sight.
type peer struct {
	Key    string `json:"key"`
	Note   []byte `json:"note"`             // empty before its first checkpoint was seen
	Forked bool   `json:"forked,omitempty"` // it told two histories: never cosigned again
}

// bulletins is the store's part in it.
type bulletins interface {
	Page(ctx context.Context, kind string, names []string, after string, limit int) (docs []store.Doc, next string, err error)
	Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration, under ...string) error
	Update(ctx context.Context, kind, id string, edit func(old []byte) ([]byte, error)) error
}

// peers is a node among the others.
type peers struct {
	board bulletins
	log   *audit.Log
	files audit.Files // where logs are copied to
	sign  func(c witness.Checkpoint, at time.Time) ([]byte, error)
	file  string // what is kept of the others
	now   func() time.Time
	out   *slog.Logger

	mu     sync.Mutex
	kept   map[string]peer // by origin
	mine   bulletin
	posted []byte
	since  time.Time // of the checkpoint in mine
}

func openPeers(p *peers) (*peers, error) {
	p.mine = bulletin{Node: p.log.Node(), Seen: map[string]sighting{}}
	var err error
	if p.kept, err = keptPeers(p.file); err != nil {
		return nil, fmt.Errorf("read what is kept of the other nodes' audit logs in %s: %w", p.file, err)
	}
	return p, nil
}

// run takes its turn until ctx is over.
func (p *peers) run(ctx context.Context) error {
	tick := time.NewTicker(peersEvery)
	defer tick.Stop()
	for {
		if err := p.turn(ctx); err != nil && ctx.Err() == nil {
			p.out.Warn("the other nodes' audit logs could not be looked at", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Nodes are this node and the others that it knows.
func (p *peers) Nodes() session.Nodes {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := session.Nodes{p.log.Node()}
	for origin, k := range p.kept {
		all = append(all, session.Node{Origin: origin, Key: k.Key})
	}
	return all
}

// OpenLog opens a node's log: this node's own, or the copy of another's.
func (p *peers) OpenLog(ctx context.Context, origin string) (api.AuditLog, error) {
	node, known := p.Nodes().At(origin)
	switch {
	case !known:
		return nil, fs.ErrNotExist
	case origin == p.log.Node().Origin:
		return p.log, nil
	}
	return audit.OpenCopy(ctx, p.files, node)
}

// logs are this node's log and the copies of the others', each opened when it is asked for.
// A copy that cannot be read proves nothing, and that is said.
func (p *peers) logs(ctx context.Context) iter.Seq[Log] {
	return func(yield func(Log) bool) {
		if !yield(p.log) {
			return
		}
		for _, node := range p.Nodes()[1:] {
			c, err := audit.OpenCopy(ctx, p.files, node)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				p.out.Error("THE COPY OF ANOTHER NODE'S AUDIT LOG CANNOT BE READ", "log", node.Origin, "err", err)
			case !yield(c):
				return
			}
		}
	}
}

// keepCopy copies this node's log as it grows, so that it can be proved from when the node
// is lost.
func (p *peers) keepCopy(ctx context.Context) error {
	tick := time.NewTicker(copyEvery)
	defer tick.Stop()
	for size := int64(-1); ; {
		if now := p.log.Size(); now != size {
			if err := p.log.CopyTo(ctx, p.files); err == nil {
				size = now
			} else if ctx.Err() == nil {
				p.out.Error("the audit log could not be copied to the vault", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// turn reads what the others posted, cosigns what goes on, and posts.
func (p *peers) turn(ctx context.Context) error {
	docs, _, err := p.board.Page(ctx, bulletinKind, []string{bulletinsUnder}, "", session.MaxNodes)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var others []bulletin
	for _, d := range docs {
		var b bulletin
		if json.Unmarshal(d.Body, &b) != nil || d.ID != b.Node.Origin || d.ID == p.mine.Node.Origin {
			continue
		}
		if (session.Nodes{p.mine.Node, b.Node}).Check() == nil {
			others = append(others, b)
		}
	}
	for _, b := range others {
		if err := p.watch(b); err != nil {
			p.out.Error("ANOTHER NODE'S AUDIT LOG IS NOT COSIGNED", "log", b.Node.Origin, "err", err)
		}
	}
	if err := p.offer(others); err != nil {
		return err
	}
	return p.post(ctx)
}

// watch cosigns another node's checkpoint if its log goes on from what was seen before.
func (p *peers) watch(b bulletin) error {
	before, seen := p.kept[b.Node.Origin]
	switch {
	case before.Forked:
		return witness.ErrForked
	case seen && before.Key != b.Node.Key:
		return errors.New("it has another key than the one that was seen first")
	}
	pub, err := session.ParseKeyLine(b.Node.Key)
	switch {
	case err != nil:
		return err
	case len(b.Note) == 0 && seen:
		return nil
	case len(b.Note) == 0: // it may be lost before it says more, and its copy is there by then
		return p.keep(b.Node.Origin, peer{Key: b.Node.Key})
	}
	at, err := witness.OpenCheckpoint(b.Note, pub)
	if err != nil || at.Origin != b.Node.Origin {
		return errors.Join(errors.New("its checkpoint is not signed by its key"), err)
	}
	if len(before.Note) > 0 {
		older, err := witness.ReadCheckpoint(before.Note)
		if err != nil {
			return err
		}
		proof := witness.Consistency{}
		if text := b.Proofs[p.mine.Node.Origin]; text != nil {
			if proof, err = witness.ParseConsistency(text); err != nil {
				return err
			}
		}
		err = witness.Follows(older, at, proof)
		if errors.Is(err, witness.ErrForked) {
			before.Forked = true
			return errors.Join(err, p.keep(b.Node.Origin, before))
		}
		if err != nil {
			return nil // it proves from elsewhere: it will hear where this node stands
		}
		if older == at && len(p.mine.Seen[at.Origin].Line) > 0 {
			return nil
		}
	}
	line, err := p.sign(at, p.now())
	if err != nil {
		return err
	}
	if err := p.keep(b.Node.Origin, peer{Key: b.Node.Key, Note: b.Note}); err != nil {
		return err
	}
	p.mine.Seen[at.Origin] = sighting{Size: at.Size, Line: line}
	return nil
}

func (p *peers) keep(origin string, k peer) error {
	before, had := p.kept[origin]
	if !had && len(p.kept) >= session.MaxNodes-1 {
		return errors.New("there are more nodes than there can be")
	}
	p.kept[origin] = k
	raw, err := json.Marshal(p.kept)
	if err == nil {
		err = durable.Write(p.file, raw)
	}
	if err != nil && had {
		p.kept[origin] = before
	} else if err != nil {
		delete(p.kept, origin)
	}
	return err
}

// offer takes the others' names under this node's checkpoint, and puts up the next one
// when all have signed or waited long enough.
func (p *peers) offer(others []bulletin) error {
	if len(others) == 0 {
		return nil
	}
	var known session.Nodes
	for _, b := range others {
		known = append(known, b.Node)
	}
	note, signed := p.mine.Note, len(witness.Cosigners(p.mine.Note, known))
	for _, b := range others {
		longer := slices.Concat(note, b.Seen[p.mine.Node.Origin].Line)
		if n := len(witness.Cosigners(longer, known)); len(note) > 0 && len(longer) <= witness.MaxCheckpoint && n > signed {
			note, signed = longer, n
		}
	}
	if signed > len(witness.Cosigners(p.mine.Note, known)) {
		if err := p.log.Cosigned(note); err != nil {
			return err
		}
		p.mine.Note = note
	}
	at, err := witness.ReadCheckpoint(note)
	if err == nil && signed < len(others) && p.now().Sub(p.since) < patience {
		return nil
	}
	if err == nil && at.Size == p.log.Size() && signed == len(others) {
		return nil
	}
	return p.put(others)
}

// put puts up the newest checkpoint, with a proof for each other node.
func (p *peers) put(others []bulletin) error {
	note, err := p.log.Checkpoint()
	if err != nil {
		return err
	}
	at, err := witness.ReadCheckpoint(note)
	if err != nil {
		return err
	}
	proofs := map[string][]byte{}
	for _, b := range others {
		proof, err := p.log.Between(min(b.Seen[p.mine.Node.Origin].Size, at.Size), at.Size)
		if err != nil {
			return err
		}
		proofs[b.Node.Origin] = proof.Bytes()
	}
	p.mine.Note, p.mine.Proofs, p.since = note, proofs, p.now()
	return nil
}

// post writes the bulletin when it changed.
func (p *peers) post(ctx context.Context) error {
	body, err := json.Marshal(p.mine)
	if err != nil || bytes.Equal(body, p.posted) {
		return err
	}
	origin := p.mine.Node.Origin
	err = p.board.Create(ctx, bulletinKind, origin, body, 0, bulletinsUnder)
	if errors.Is(err, store.ErrExists) {
		err = p.board.Update(ctx, bulletinKind, origin, func([]byte) ([]byte, error) { return body, nil })
	}
	if err == nil {
		p.posted = body
	}
	return err
}
