package store

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/session"
)

// inspect refuses a server that would forget approvals: one without an append-only
// file, with one that is never synced, or one that evicts; and, unless the configuration
// accepts that, one that syncs once a second or whose CONFIG does not tell.
func (s *Store) inspect(ctx context.Context, c Config) error {
	if err := s.client.Ping(ctx).Err(); err != nil {
		said := lost("connect to the store", err).(*session.Error)
		if redis.HasErrorPrefix(err, "NO") || redis.HasErrorPrefix(err, "WRONGPASS") || errors.Is(err, os.ErrPermission) {
			return said
		}
		return said.WithNext("Start redis-server, or correct the store's URL in the broker's configuration.")
	}
	if c.Ephemeral {
		return nil
	}
	info := map[string]string{}
	for _, section := range []string{"persistence", "memory"} {
		text, err := s.client.Info(ctx, section).Result()
		if err != nil && section == "persistence" {
			return forgetful("The Redis server does not say whether it keeps its data.", err)
		}
		readInfo(info, text)
	}
	config, err := s.client.ConfigGet(ctx, "appendfsync").Result()
	if err != nil {
		config = nil // not permitted
	}
	if err := judge(info, config["appendfsync"]); err != nil || c.Everysec {
		return err
	}
	return hurried(config["appendfsync"])
}

// hurried refuses a server that answers before what it was told is on its disk.
func hurried(fsync string) error {
	message := "The Redis server syncs its append-only file once a second: a power cut takes the last second of approvals and refusals with it."
	switch fsync {
	case "always":
		return nil
	case "":
		message = "The Redis server does not say how often it syncs its append-only file: a power cut may take what it acknowledged with it."
	}
	return &session.Error{Kind: session.Refused, Message: message,
		Next: `Set "appendfsync always" in redis.conf and let the broker's user run CONFIG GET, or accept the loss with redis.everysec: true in the configuration.`}
}

// judge says what is wrong with a server's persistence, if anything.
func judge(info map[string]string, fsync string) error {
	switch {
	case info["aof_enabled"] != "1":
		return forgetful("The Redis server forgets what it was told when it stops: it has no append-only file.", nil)
	case info["aof_last_write_status"] != "" && info["aof_last_write_status"] != "ok":
		return forgetful("The Redis server cannot write its append-only file.", nil)
	case fsync == "no":
		return forgetful("The Redis server never syncs its append-only file.", nil)
	case info["maxmemory_policy"] != "" && info["maxmemory_policy"] != "noeviction":
		return forgetful("The Redis server drops data when memory runs short.", nil)
	}
	return nil
}

func forgetful(message string, err error) error {
	return &session.Error{Kind: session.Refused, Message: message, Err: err,
		Next: `Set "appendonly yes", "appendfsync always" and "maxmemory-policy noeviction" in redis.conf, or start the broker with --ephemeral if nothing has to survive.`}
}

// readInfo reads the name:value lines of INFO.
func readInfo(into map[string]string, text string) {
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			into[name] = value
		}
	}
}

// Try does once what the broker does all day, on a document of its own that it removes
// again: an operator learns whether the server allows it.
func (s *Store) Try(ctx context.Context) error {
	const kind, under = "trial", "trials"
	id := session.NewID().Text()
	if err := s.Create(ctx, kind, id, []byte("{}"), trialTime, under); err != nil {
		return err
	}
	_, _, err := s.Page(ctx, kind, []string{under}, "", 1)
	if err == nil {
		_, _, err = s.Count(ctx, kind+":"+id, trialTime, 1)
	}
	if err == nil {
		err = lost("read changes", s.client.XRangeN(ctx, s.changesKey(kind), "-", "+", 1).Err())
	}
	return errors.Join(err, s.Delete(ctx, kind, id))
}
