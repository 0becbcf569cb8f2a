package store

import "github.com/redis/go-redis/v9"

// A document is a hash: kind, id, version, body, and under: a line for each index in
// which it stands, the place there and the index's name. Versions come from the kind's
// clock and are never used twice, also not by a document that was deleted and made
// again. The clock is the server's in microseconds, made to grow always, so that a
// place in a list tells nobody how busy others are. Each change is announced in the
// kind's stream, which is trimmed and only a hint.
//
// An index is a sorted set whose members all have score 0 and are ordered by their
// text: 16 digits of place, then the id. It is written in the same step as the
// document, so the two never disagree; what a document left behind whose time to live
// ended is dropped when a page meets it, and an index of such documents alone ends with
// the last of them.
//
// Every reply begins with kind and id.

// saveScript changes documents of one kind in one step: none of them, unless each is the
// one that is meant. Keys: 1 clock, 2 changes, then each document with the indexes that
// change for it. ARGV: 1 kind, 2 the id that the reply names, then for each document: id,
// the version that it replaces (empty: there is none yet), "put" or "drop", body, time to
// live (0: as it was, -1: for ever), the lines of under that stay, how many indexes change, and for each of them its
// name, the place to leave and the place to take: digits, "now", or empty for none.
var saveScript = redis.NewScript(`
local k, a = 3, 3
while a <= #ARGV do
  local have, moves = redis.call('HGET', KEYS[k], 'version'), tonumber(ARGV[a + 6])
  if not have and ARGV[a + 1] ~= '' then return {ARGV[1], ARGV[2], -1} end
  if have and have ~= ARGV[a + 1] then return {ARGV[1], ARGV[2], 0} end
  k, a = k + 1 + moves, a + 7 + 3 * moves
end
local t = redis.call('TIME')
local v = math.max(tonumber(t[1]) * 1000000 + tonumber(t[2]), tonumber(redis.call('GET', KEYS[1]) or '0') + 1)
k, a = 3, 3
while a <= #ARGV do
  local doc, id, put, under, moves = KEYS[k], ARGV[a], ARGV[a + 2] == 'put', ARGV[a + 5], tonumber(ARGV[a + 6])
  local body, ttl, at = ARGV[a + 3], tonumber(ARGV[a + 4]), string.format('%016d', v)
  a = a + 7
  local left = ttl
  if ttl == 0 then left = redis.call('PTTL', doc) end
  for i = k + 1, k + moves do
    local name, was, now = ARGV[a], ARGV[a + 1], ARGV[a + 2]
    if was ~= '' then redis.call('ZREM', KEYS[i], was .. id) end
    if now == 'now' then now = at end
    if now ~= '' then
      local ends = left < 0 or redis.call('PTTL', KEYS[i])
      redis.call('ZADD', KEYS[i], 0, now .. id)
      if left < 0 then
        redis.call('PERSIST', KEYS[i])
      elseif ends == -2 or ends >= 0 and ends < left then
        redis.call('PEXPIRE', KEYS[i], math.max(left, 1))
      end
      under = under .. now .. name .. '\n'
    end
    a = a + 3
  end
  if put then
    redis.call('HSET', doc, 'kind', ARGV[1], 'id', id, 'version', at, 'body', body, 'under', under)
    if ttl > 0 then redis.call('PEXPIRE', doc, ttl) end
    if ttl < 0 then redis.call('PERSIST', doc) end
  else
    redis.call('DEL', doc)
  end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', '1024', '*', 'id', id)
  redis.call('SET', KEYS[1], at)
  k, v = k + 1 + moves, v + 1
end
return {ARGV[1], ARGV[2], 1}
`)

// pageScript: keys are indexes; ARGV 1 kind, 2 the upper bound, 3 how many, 4.. the
// names of the indexes. The reply names each index before its members.
var pageScript = redis.NewScript(`
local all = {ARGV[1]}
for i = 1, #KEYS do
  local page = redis.call('ZREVRANGEBYLEX', KEYS[i], ARGV[2], '-', 'LIMIT', 0, ARGV[3])
  table.insert(page, 1, ARGV[3 + i])
  all[i + 1] = page
end
return all
`)

// extentScript: key 1 an index; ARGV 1 kind, 2 name.
var extentScript = redis.NewScript(`
return {ARGV[1], ARGV[2], redis.call('ZCARD', KEYS[1]), redis.call('ZRANGE', KEYS[1], 0, 0)[1] or ''}
`)

// forgetScript drops an index entry if its document is really gone, or is another one of
// the same id: ARGV 1 the member, 2 the line of a document that stands there.
var forgetScript = redis.NewScript(`
local under = redis.call('HGET', KEYS[1], 'under')
if not under or not string.find('\n' .. under, '\n' .. ARGV[2], 1, true) then redis.call('ZREM', KEYS[2], ARGV[1]) end
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
