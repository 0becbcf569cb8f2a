package storetest

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Family is a kind of documents in the store, with what bounds it.
type Family struct {
	Kind  string
	What  string        // one document
	Owner string        // the room that writes it
	Bound string        // how many there are
	Life  time.Duration // the longest that one lives; 0: see Stays
	Stays string        // why some have no time to live, and how they end; empty: all have one
}

// families are all that the broker keeps. deploy/README.md has them for people.
func families() []Family {
	const day = 24 * time.Hour
	return []Family{
		{"request", "what an engineer asked, and what came of it", "access", "16 waiting an engineer, 128 a vendor at a site", 0, "is the record of who was let in, as long as recordings are"},
		{"grant", "which request a grant belongs to", "access", "one approval that an agent was asked for", 61 * day, "one that an agent took stays with its request"},
		{"key", "which request a public key may open", "access", "4 of a request", 61 * day, ""},
		{"recording", "a recording and its reviews", "access", "1000 of a session, 64 of a site without one", 0, "is the list of what is in the vault"},
		{"standing", "whether an engineer may ask a site", "access", "one of each engineer of whom an agent took a request, at each site", 0, "must not be forgotten"},
		{"presence", "whether an agent is here", "access", "one of each agent", 0, "is overwritten when the agent comes and goes"},
		{"passkeys", "of which passkeys of an agent's page the log tells", "access", "one of each agent, with 2048 keys", 0, "is overwritten when one comes or goes"},
		{"catalogue", "a site, or one of its scanners", "access", "32 agents and 1000 scanners of a site", 0, "goes when its agent announces it no more, or is forgotten"},
		{"login", "a sign-in by the command line", "identity", "40 of a person", 12 * time.Hour, ""},
		{"web-login", "a sign-in by a browser", "identity", "40 of a person", 8 * time.Hour, ""},
		{"login-token", "that an ID token was used", "identity", "20 sign-ins a minute of a person", 20 * time.Minute, ""},
		{"web-trip", "a round trip to an identity provider for a proof", "identity", "a signed-in person's calls", 10 * time.Minute, ""},
		{"web-outcome", "what came of a round trip", "identity", "60 a minute of a network, 600 of all", 10 * time.Minute, ""},
		{"trip-key", "the day's seal of sign-ins under way", "identity", "two", 2 * day, ""},
		{"mail", "a mail that waits", "notify", "600 an hour for a site, twice", 0, "goes when it is sent, and is given up after a day"},
		{"mailed", "that a mail was sent", "notify", "600 an hour for a site, twice", 2 * day, ""},
		{"unmailed", "who was not written to about a request", "notify", "one of a request, of 100 people", 0, "stays with its request"},
		{"ticket", "a browser's way to a service", "api", "30 a minute of a person", 30 * time.Second, ""},
		{"join", "a token with which an agent enrols", "fleet", "an operator's own", time.Hour, ""},
		{"denied", "that an agent is revoked", "broker", "an operator's own", 25 * time.Hour, ""},
		{"owed", "an event that a node's audit log could not take", "broker", "4096 are read back", 90 * day, ""},
		{"vault-used", "how much a site has stored", "broker", "one of a site", 0, "is counted anew from the vault when it is lost"},
		{"node", "that a node runs", "broker", "one of a node, 16 at the most", 0, "goes when the node stops"},
		{"auditlog", "a node's newest checkpoint", "broker", "one of a node, 16 at the most", 0, "is overwritten as the log grows"},
		{"count", "attempts of somebody in a window of time", "store", "one of a person, site or network that tried", time.Hour, ""},
		{"trial", "whether the store allows what the broker does", "store", "one of a check", time.Minute, ""},
	}
}

// keyShape is a key: the kind, what it is and its name.
var keyShape = regexp.MustCompile(`^[^{}]+:\{([a-z-]+)\}:(doc|under|clock|changes):`)

// Described fails the test for whatever is in a server that no family describes, or that
// has no end where its family has one. Call it when what is tested has written.
func Described(t testing.TB, url string) {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opts)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if c.Ping(ctx).Err() != nil {
		return // the test took it away
	}
	known := map[string]Family{}
	for _, f := range families() {
		known[f.Kind] = f
	}
	keys := c.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		m := keyShape.FindStringSubmatch(key)
		if m == nil {
			t.Errorf("no family of keys is like %.120q", key)
			continue
		}
		f, ok := known[m[1]]
		if !ok {
			t.Errorf("nothing says what %.120q is, how many there are and when it ends", key)
			continue
		}
		if why := f.wrong(ctx, c, key, m[2]); why != "" {
			t.Errorf("%.120q %s", key, why)
		}
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
}

// wrong says what is wrong about a key of the family.
func (f Family) wrong(ctx context.Context, c *redis.Client, key, what string) string {
	left := c.PTTL(ctx, key).Val() // -1 and -2 as they are: without an end, and gone by now
	switch {
	case left == -2 || what == "clock": // one of a kind
		return ""
	case what == "changes": // one of a kind, too
		if n := c.XLen(ctx, key).Val(); n > 2048 {
			return "is a stream that nobody trims"
		}
		return ""
	case left > 0 && (f.Life == 0 || left > f.Life):
		return "lives for " + left.String() + ", longer than its family says"
	case left > 0 || what == "doc" && f.Stays != "":
		return ""
	case what == "doc":
		return "never ends"
	}
	return f.index(ctx, c, key)
}

// index says what is wrong about an index without an end: everything in it has to be there,
// and something of it for good.
func (f Family) index(ctx context.Context, c *redis.Client, key string) string {
	prefix, name, _ := strings.Cut(key, ":under:")
	stays := false
	for _, member := range c.ZRange(ctx, key, 0, -1).Val() {
		switch left := c.PTTL(ctx, prefix+":doc:"+member[16:]).Val(); left {
		case -2:
			return "lists " + member + ", which is gone, under " + name
		case -1:
			stays = true
		}
	}
	if !stays {
		return "is an index that never ends, of what ends"
	}
	return ""
}
