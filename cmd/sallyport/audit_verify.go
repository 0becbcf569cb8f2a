package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/wording"
)

// auditVerdict is the answer of audit verify about one log.
type auditVerdict struct {
	Log     string   `json:"log"`
	Size    int64    `json:"size"`
	Read    int64    `json:"read"`              // entries that you may see and that are what their hashes say
	Key     string   `json:"key"`               // trusted, unknown, not accepted
	Missing string   `json:"missing,omitempty"` // why it could not be checked
	Since   int64    `json:"since"`             // size of the checkpoint that you saw before
	Seen    string   `json:"seen,omitempty"`    // file that keeps the new one
	Explain []string `json:"explain,omitempty"` // the same in words
}

func (p *program) auditVerifyCommand() *cobra.Command {
	var bundles []string
	c := p.signed(&cobra.Command{
		Use:   "verify",
		Short: "Check the whole audit logs: nothing was changed, nothing taken away",
		Long: `Check the whole audit log of each of the broker's nodes. The hashes of all entries are fetched and the tree is
computed from them; every entry that you may see is compared with its hash; the root
must be the one that the broker signed, and the log must go on from the checkpoint
that you saw last, which is kept in your Sallyport directory under checkpoints. The
signing key is the one in the trust bundle; without one the log key is unknown. A log
that your bundle accepts, or that you saw before, and that the broker does not show is
named, and the status is 1.`,
	}, func(ctx context.Context, who signedIn, _ []string) error {
		trust, err := p.anchors(bundles)
		if err != nil {
			return err
		}
		all, err := p.verifyLogs(ctx, who, trust)
		if err != nil {
			return err
		}
		var lines []string
		for _, v := range all {
			lines = append(lines, v.Explain...)
		}
		if err := p.toldLines(all, lines); err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(v auditVerdict) bool { return v.Missing != "" }) {
			return quietFailure{}
		}
		return nil
	})
	c.Flags().StringSliceVar(&bundles, "trust", nil, "use this trust bundle instead of the imported ones")
	return c
}

var errNotAccepted = errors.New("no trust bundle accepts the log's node")

// logKey is the key that the bundles accept for a node's audit log; nil: they name no
// node at all. They must agree.
func logKey(trust []session.Trust, origin string) (ed25519.PublicKey, error) {
	var found session.Node
	named := false
	for _, t := range trust {
		named = named || len(t.Nodes) > 0
		n, ok := t.Nodes.At(origin)
		if ok && found.Key != "" && found.Key != n.Key {
			return nil, session.Errorf(session.Refused, "Your trust bundles name two keys of the audit log %s", origin).
				WithNext("Name the bundle to use with --trust.")
		}
		if ok {
			found = n
		}
	}
	switch {
	case found.Key != "":
		return session.ParseKeyLine(found.Key)
	case named:
		return nil, badLog("The audit log "+origin+" is of no node of the broker that your trust bundle accepts", errNotAccepted)
	}
	return nil, nil
}

// verifyLogs checks the logs that the broker shows, and names those that it should show.
func (p *program) verifyLogs(ctx context.Context, who signedIn, trust []session.Trust) ([]auditVerdict, error) {
	list, err := client.AuditLogs.Get(ctx, who.broker)
	if err != nil {
		return nil, err
	}
	logs := list.Logs
	for _, origin := range expected(who, trust, logs) {
		if !slices.ContainsFunc(logs, func(l api.AuditLogState) bool { return l.Origin == origin }) {
			logs = append(logs, api.AuditLogState{Origin: origin, Problem: "the broker does not show it"})
		}
	}
	all := []auditVerdict{}
	var refused error
	for _, l := range logs {
		_, err := logKey(trust, l.Origin)
		var v auditVerdict
		switch {
		case errors.Is(err, errNotAccepted):
			refused = err
			v = auditVerdict{Log: l.Origin, Key: "not accepted", Explain: []string{"The audit log " + wording.Clean(l.Origin) + " is of no node of the broker that your trust bundle accepts. It was not checked, and counts for nothing."}}
		case l.Problem != "":
			v = auditVerdict{Log: l.Origin, Missing: l.Problem, Explain: []string{"NOT CHECKED: the audit log " + wording.Clean(l.Origin) + ", because " + wording.Clean(l.Problem) + "."}}
		default:
			if v, err = p.verifyLog(ctx, who, l.Origin, trust); err != nil {
				return nil, err
			}
		}
		all = append(all, v)
	}
	if refused != nil && !slices.ContainsFunc(all, func(v auditVerdict) bool { return v.Key != "not accepted" }) {
		return nil, refused
	}
	return all, nil
}

// expected are the logs of this broker that the bundles accept, and those that the person
// saw before.
func expected(who signedIn, trust []session.Trust, shown []api.AuditLogState) (origins []string) {
	_, host, _ := strings.Cut(who.config.Broker, "://")
	hosts := []string{host}
	for _, l := range shown {
		hosts = append(hosts, path.Dir(l.Origin))
	}
	for _, t := range trust {
		for _, n := range t.Nodes {
			if slices.Contains(hosts, path.Dir(n.Origin)) {
				origins = append(origins, n.Origin)
			}
		}
	}
	dir := filepath.Dir(seenFile(who, ""))
	files, _ := os.ReadDir(dir)
	for _, file := range files {
		at := filepath.Join(dir, file.Name())
		if c, _, err := readSeen(at); err == nil && seenFile(who, c.Origin) == at {
			origins = append(origins, c.Origin)
		}
	}
	slices.Sort(origins)
	return slices.Compact(origins)
}

// verifyLog checks a log against itself, its key and what was seen before.
func (p *program) verifyLog(ctx context.Context, who signedIn, origin string, trust []session.Trust) (auditVerdict, error) {
	got, err := client.AuditCheckpoint.Where(ctx, who.broker, url.Values{"log": {origin}})
	if err != nil {
		return auditVerdict{}, err
	}
	pinned, err := logKey(trust, origin)
	if err != nil {
		return auditVerdict{}, err
	}
	v := auditVerdict{Key: "trusted"}
	key := pinned
	if key == nil {
		v.Key = "unknown"
		if key, err = session.ParseKeyLine(got.Key); err != nil {
			return auditVerdict{}, badLog("The broker names no key of its log", err)
		}
	}
	now, err := witness.OpenCheckpoint(got.Checkpoint, key)
	if err != nil || now.Origin != origin {
		return auditVerdict{}, badLog("The checkpoint of the audit log "+origin+" is not its own, signed by its key", err)
	}
	v.Log, v.Size = now.Origin, now.Size
	leaves, err := p.leaves(ctx, who, origin, now.Size)
	if err != nil {
		return auditVerdict{}, err
	}
	seen := seenFile(who, origin)
	before, was, err := readSeen(seen)
	if err != nil {
		return auditVerdict{}, err
	}
	v.Since = before.Size
	if was != nil && (before.Origin != now.Origin || !was.Equal(key)) {
		return auditVerdict{}, badLog("The audit log has another name or key than the one that you saw", witness.ErrForked)
	}
	if before.Size > now.Size {
		return auditVerdict{}, badLog(fmt.Sprintf("The audit log shrank: you saw %d entries, and it has %d", before.Size, now.Size), witness.ErrForked)
	}
	roots, err := witness.Roots(leaves, now.Size, before.Size)
	if err != nil {
		return auditVerdict{}, err
	}
	switch {
	case roots[0] != now.Root:
		return auditVerdict{}, badLog("The entries of the audit log are not those that the broker signed", nil)
	case before.Size > 0 && roots[1] != before.Root:
		return auditVerdict{}, badLog(fmt.Sprintf("The audit log was rewritten: its first %d entries are not those that you saw", before.Size), witness.ErrForked)
	}
	if v.Read, err = p.entriesMatch(ctx, who, origin, leaves); err != nil {
		return auditVerdict{}, err
	}
	if err := durable.MakeDir(filepath.Dir(seen)); err != nil {
		return auditVerdict{}, err
	}
	if err := durable.Write(seen, keptSeen(session.KeyLine(key), got.Checkpoint)); err != nil {
		return auditVerdict{}, err
	}
	v.Seen = seen
	v.Explain = explainLog(v, now, pinned)
	for _, by := range cosigners(got.Checkpoint, trust) {
		v.Explain = append(v.Explain, fmt.Sprintf("The node %s cosigned it, %s.", by.Node.Origin, p.local(by.At)))
	}
	return v, nil
}

// cosigners are the other nodes that a bundle which accepts the log's own node accepts,
// and that cosigned the checkpoint.
func cosigners(note []byte, trust []session.Trust) []witness.Cosigner {
	at, _ := witness.ReadCheckpoint(note)
	for _, t := range trust {
		if _, ok := t.Nodes.At(at.Origin); ok {
			return witness.Cosigners(note, t.Nodes)
		}
	}
	return nil
}

func explainLog(v auditVerdict, now witness.Checkpoint, pinned ed25519.PublicKey) []string {
	lines := []string{
		fmt.Sprintf("The audit log of %s has %d entries; their hashes make the root that it signed.", now.Origin, now.Size),
		fmt.Sprintf("The %d of them that you may see are what their hashes say.", v.Read),
	}
	if v.Since > 0 {
		lines = append(lines, fmt.Sprintf("It goes on from the %d entries that you saw last.", v.Since))
	} else {
		lines = append(lines, "You see it for the first time; from now on you would notice if it were rewritten.")
	}
	if pinned != nil {
		return append(lines, "It is signed by the key in your trust bundle.")
	}
	return append(lines, "Log key unknown: no trust bundle names the broker's key.")
}

// leaves fetches the hashes of all entries.
func (p *program) leaves(ctx context.Context, who signedIn, log string, size int64) ([][32]byte, error) {
	var all [][32]byte
	for int64(len(all)) < size {
		part, err := retry(ctx, func() (api.AuditLeaves, error) {
			return client.AuditLeaves.Where(ctx, who.broker, url.Values{"log": {log}, "from": {strconv.Itoa(len(all))}, "to": {strconv.FormatInt(size, 10)}})
		})
		if err != nil {
			return nil, err
		}
		n := len(part.Hashes) / 32
		if part.From != int64(len(all)) || len(part.Hashes)%32 != 0 || n == 0 || int64(len(all)+n) > size {
			return nil, badLog("The broker does not show the hashes of its audit log", nil)
		}
		for b := part.Hashes; len(b) > 0; b = b[32:] {
			all = append(all, [32]byte(b))
		}
	}
	return all, nil
}

// retry asks again where the broker wants a pause.
func retry[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	for try := 0; ; try++ {
		v, err := ask()
		if err == nil || try == 5 || session.KindOf(err) != session.Refused {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// entriesMatch reads every entry that the person may see and compares it with its
// hash. What was written after the checkpoint is left for the next time.
func (p *program) entriesMatch(ctx context.Context, who signedIn, log string, leaves [][32]byte) (int64, error) {
	var n, at int64
	for at < int64(len(leaves)) {
		page, err := retry(ctx, func() (api.AuditEvents, error) { return events(ctx, who, log, "after", at) })
		if err != nil {
			return n, err
		}
		for _, e := range page.Events {
			if e.Index < at || e.Index >= page.Next {
				return n, badLog("The broker shows entries of its audit log out of their order", nil)
			}
			if e.Index >= int64(len(leaves)) {
				continue
			}
			if witness.LeafHash(e.Entry) != leaves[e.Index] {
				return n, badLog(fmt.Sprintf("Entry %d of the audit log is not the one that was signed", e.Index), nil)
			}
			n++
		}
		if page.Next <= at {
			return n, badLog("The broker does not show the entries of its audit log", nil)
		}
		at = page.Next
	}
	return n, nil
}

// What a person saw last is the key line, and the signed checkpoint.

func keptSeen(key string, note []byte) []byte { return append([]byte(key+"\n"), note...) }

// seenFile keeps the checkpoint that the person saw last of one of their broker's logs, and
// the key that signed it.
func seenFile(who signedIn, origin string) string {
	_, host, _ := strings.Cut(who.config.Broker, "://")
	return who.home.Path("checkpoints", "log-"+fileName(host)+"-"+fileName(origin)+".txt")
}

func fileName(s string) string {
	return filepath.Base(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, s))
}

func readSeen(file string) (c witness.Checkpoint, key ed25519.PublicKey, err error) {
	b, err := durable.Read(file, home.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return witness.Checkpoint{}, nil, nil
	}
	if err == nil {
		line, note, _ := bytes.Cut(b, []byte("\n"))
		if key, err = session.ParseKeyLine(string(line)); err == nil {
			c, err = witness.OpenCheckpoint(note, key)
		}
	}
	if err != nil {
		return c, nil, &session.Error{Kind: session.Refused, Message: "The checkpoint that you saw last cannot be read", Err: err,
			Next: "Look at " + file + "; without it the log is seen for the first time."}
	}
	return c, key, nil
}
