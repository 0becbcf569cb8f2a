package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/session"
)

// pageRules are the lines of the ACL file as the installation page has them.
func pageRules(t *testing.T, password string) string {
	t.Helper()
	page, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for line := range strings.Lines(string(page)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "user ") {
			rules = append(rules, strings.ReplaceAll(line, ">PASSWORD", ">"+password))
		}
	}
	if len(rules) != 2 {
		t.Fatalf("the page has the rules %q", rules)
	}
	return strings.Join(rules, "\n") + "\n"
}

func withRules(t *testing.T, rules string) (url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return redisServer(t, "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--aclfile", file)
}

func TestTheRulesOfThePageAreEnough(t *testing.T) {
	const word = "0123456789abcdef"
	url := withRules(t, pageRules(t, word))
	var n atomic.Int32
	again := func(t *testing.T) *store.Store {
		return open(t, store.Config{URL: url, User: "sallyport", Password: word, Prefix: fmt.Sprintf("sallyport-t%d", n.Load())})
	}
	storetest.Run(t, func(t *testing.T) *store.Store {
		n.Add(1)
		return again(t)
	}, again, time.Sleep)
	if err := again(t).Try(t.Context()); err != nil {
		t.Errorf("the trial: %v", err)
	}
}

func TestTheRulesOfThePageAllowNoMore(t *testing.T) {
	const word = "0123456789abcdef"
	url := withRules(t, pageRules(t, word))
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	opts.Username, opts.Password, opts.MaxRetries = "sallyport", word, -1
	c := redis.NewClient(opts)
	defer c.Close()
	for _, words := range []string{"FUNCTION LIST", "CONFIG SET appendonly no", "RESTORE sallyport 0 x", "MODULE LIST", "FLUSHALL", "KEYS *", "SAVE", "SHUTDOWN", "ACL LIST", "MONITOR", "SET other x", "PUBLISH a b"} {
		var args []any
		for _, w := range strings.Fields(words) {
			args = append(args, w)
		}
		if err := c.Do(t.Context(), args...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func TestAStoreThatSaysNoIsNotCalledAway(t *testing.T) {
	const word = "0123456789abcdef"
	rules := pageRules(t, word)
	try := func(url, user, password string) error {
		s, err := store.Open(t.Context(), store.Config{URL: url, User: user, Password: password})
		if err != nil {
			return err
		}
		defer s.Close()
		return s.Try(t.Context())
	}
	says := func(err error, message, next string) {
		t.Helper()
		var e *session.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, message) || !strings.Contains(e.Next, next) || strings.Contains(err.Error(), word) {
			t.Errorf("it says %v", err)
		}
	}
	url := withRules(t, rules)
	says(try(url, "sallyport", "guess"), "does not accept the broker's user", "redis.password")
	says(try(url, "", ""), "does not accept the broker's user", "redis.user")
	says(try(withRules(t, strings.ReplaceAll(rules, " +xadd", "")), "sallyport", word), "does not allow", "deploy/README.md")
	says(try(withRules(t, strings.ReplaceAll(rules, " +xrange ", " ")), "sallyport", word), "does not allow", "deploy/README.md")
}
