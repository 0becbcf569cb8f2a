package store

import "github.com/redis/go-redis/v9"

// A document is a hash: kind, id, version, body. Versions come from the kind's clock and are never used twice, also
// not by a document that was deleted and made again. Each change is announced in
// the kind's stream, which is trimmed and only a hint.
//
// Keys: 1 document, 2 clock, 3 changes, 4 index of all, 5.. named indexes. What has
// a time to live stays out of the index of all, which nobody would tidy for it.
// Every reply begins with kind and id.

var createScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 then return {ARGV[1], ARGV[2], 0} end
local v = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'kind', ARGV[1], 'id', ARGV[2], 'version', v, 'body', ARGV[3])
if tonumber(ARGV[4]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
if tonumber(ARGV[4]) == 0 then redis.call('ZADD', KEYS[4], v, ARGV[2]) end
for i = 5, #KEYS do redis.call('ZADD', KEYS[i], v, ARGV[2]) end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', '1024', '*', 'id', ARGV[2])
return {ARGV[1], ARGV[2], v}
`)

// updateScript: ARGV 3 body, 4 the version that it replaces. Time to live stays.
var updateScript = redis.NewScript(`
local have = redis.call('HGET', KEYS[1], 'version')
if not have then return {ARGV[1], ARGV[2], -1} end
if have ~= ARGV[4] then return {ARGV[1], ARGV[2], 0} end
local v = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'version', v, 'body', ARGV[3])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', '1024', '*', 'id', ARGV[2])
return {ARGV[1], ARGV[2], v}
`)

// wholeScript replaces a document and parts of it. ARGV 3 body, 4 the version that it
// replaces, then four for each part: its id, "put" or "drop", its body, and how many of
// KEYS 5.. after its own are indexes. What stays as it was is not announced.
var wholeScript = redis.NewScript(`
local have = redis.call('HMGET', KEYS[1], 'version', 'body')
if not have[1] then return {ARGV[1], ARGV[2], -1} end
if have[1] ~= ARGV[4] then return {ARGV[1], ARGV[2], 0} end
local changed, k = have[2] ~= ARGV[3], 5
for a = 5, #ARGV, 4 do
  local id, doc, names, news = ARGV[a], KEYS[k], tonumber(ARGV[a+3]), false
  if ARGV[a+1] == 'drop' then
    news = redis.call('DEL', doc) == 1
    redis.call('ZREM', KEYS[4], id)
    for i = k + 1, k + names do redis.call('ZREM', KEYS[i], id) end
  elseif redis.call('HGET', doc, 'body') ~= ARGV[a+2] then
    news = true
    local v = redis.call('INCR', KEYS[2])
    redis.call('HSET', doc, 'kind', ARGV[1], 'id', id, 'version', v, 'body', ARGV[a+2])
    redis.call('ZADD', KEYS[4], 'NX', v, id)
    for i = k + 1, k + names do redis.call('ZADD', KEYS[i], 'NX', v, id) end
  end
  if news then
    changed = true
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', '1024', '*', 'id', id)
  end
  k = k + 1 + names
end
if not changed then return {ARGV[1], ARGV[2], 1} end
local v = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'version', v, 'body', ARGV[3])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', '1024', '*', 'id', ARGV[2])
return {ARGV[1], ARGV[2], v}
`)

// takeScript reads and deletes. The named indexes are passed by nobody: entries
// that point at nothing are dropped when a listing meets them.
var takeScript = redis.NewScript(`
local d = redis.call('HMGET', KEYS[1], 'kind', 'id', 'version', 'body')
if not d[3] then return {ARGV[1], ARGV[2], false, false} end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', '1024', '*', 'id', ARGV[2])
return d
`)

// addScript puts a document under one more name, at its version of now.
var addScript = redis.NewScript(`
local v = redis.call('HGET', KEYS[1], 'version')
if not v then return {ARGV[1], ARGV[2], -1} end
redis.call('ZADD', KEYS[5], 'NX', v, ARGV[2])
return {ARGV[1], ARGV[2], 1}
`)

// listScript: key 1 an index; ARGV 1 kind, 2 name, 3 start, 4 stop.
var listScript = redis.NewScript(`
local ids = redis.call('ZREVRANGE', KEYS[1], ARGV[3], ARGV[4])
table.insert(ids, 1, ARGV[2])
table.insert(ids, 1, ARGV[1])
return ids
`)

// forgetScript drops an index entry if its document is really gone.
var forgetScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1]) end
return 1
`)

// countScript: ARGV 1 key, 2 window in ms, 3 limit. A window begins with its first
// attempt; attempts beyond the limit are not counted and do not prolong it.
var countScript = redis.NewScript(`
local n = tonumber(redis.call('GET', KEYS[1]) or '0')
local left = redis.call('PTTL', KEYS[1])
if n > 0 and left < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]); left = tonumber(ARGV[2]) end
if n >= tonumber(ARGV[3]) then return {ARGV[1], 0, left} end
redis.call('INCR', KEYS[1])
if n == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]); left = tonumber(ARGV[2]) end
return {ARGV[1], 1, left}
`)
