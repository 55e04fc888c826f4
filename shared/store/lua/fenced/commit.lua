-- Do a list of commands at once, but only while the partition's lease is still ours.
--
-- KEYS[1]   lease            {p07}:lease:normalise
-- KEYS[2…]  every key that a command below touches
-- ARGV[1]   epoch            the fencing token of our lease
-- ARGV[2…]  the commands, one after the other, each as
--             reply          '+' when its reply is wanted, '-' when not, '?' when not and it may fail
--             words          how many words follow
--             word …         a Redis command with its arguments, or a step of ours (below)
--
-- Returns { 'done', now_ms, reply … } or { 'fenced', the epoch in force, or '' }.
--
-- Reading and deciding happen in the owner, in Rust, where rules can be tested. That is safe because
-- only the owner changes its partition, and because of this check: whoever lost the lease since it
-- read does nothing at all. Reads go through here as well: an unfenced XREADGROUP of a past owner
-- would take entries out of their order.
--
-- Steps of ours compare with Redis' clock, or with what stands in a key:
--   after KEY MODE DELAY MEMBER     ZADD with the score now + delay (ms); MODE is NX, LT, GT, XX, or CH for any
--   again KEY HASH DELAY MEMBER SINCE FIELD VALUE …
--                                   likewise, for a member that was handled since SINCE (ms): due at once if
--                                   a field of the hash does not hold its value ('' = absent), and left
--                                   alone if somebody made it due meanwhile
--   undue KEY MEMBER SINCE          ZREM, unless somebody made it due since SINCE (ms)
--   rest KEY HASH DELAY MEMBER OTHER
--                                   likewise if the hash holds anything; else ZADD with what the other
--                                   hash's field check_at says, or ZREM
--   due KEY LIMIT                   members whose score has come, and the next score, or false
--   clear KEY FIELD VALUE           HDEL the field if it still holds the value
--   swap KEY FIELD OLD NEW          HSET the field if it still holds the old value ('' = absent)
--   ring STREAM ADDED CHANNEL WHO   PUBLISH if the stream holds nothing but what was just added:
--                                   a reader that is at work looks again before it rests
local held = redis.call('HGET', KEYS[1], 'epoch')
if held ~= ARGV[1] then
  return { 'fenced', held or '' }
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local steps = {
  after = function(key, mode, delay, member)
    return redis.call('ZADD', key, mode, now + delay, member)
  end,
  again = function(key, hash, delay, member, since, ...)
    local due = redis.call('ZSCORE', key, member)
    if due and tonumber(due) > tonumber(since) and tonumber(due) <= now then
      return 0
    end
    local news = { ... }
    for i = 1, #news, 2 do
      if (redis.call('HGET', hash, news[i]) or '') ~= news[i + 1] then
        delay = 0
      end
    end
    return redis.call('ZADD', key, now + delay, member)
  end,
  undue = function(key, member, since)
    local due = redis.call('ZSCORE', key, member)
    if due and tonumber(due) > tonumber(since) and tonumber(due) <= now then
      return 0
    end
    return redis.call('ZREM', key, member)
  end,
  rest = function(key, hash, delay, member, other)
    if redis.call('EXISTS', hash) == 1 then
      return redis.call('ZADD', key, now + delay, member)
    end
    local check_at = redis.call('HGET', other, 'check_at')
    if check_at then
      return redis.call('ZADD', key, check_at, member)
    end
    return redis.call('ZREM', key, member)
  end,
  due = function(key, limit)
    local members = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit)
    local next = redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    return { members, next[2] or false }
  end,
  clear = function(key, field, value)
    if redis.call('HGET', key, field) == value then
      return redis.call('HDEL', key, field)
    end
    return 0
  end,
  swap = function(key, field, old, new)
    if (redis.call('HGET', key, field) or '') == old then
      redis.call('HSET', key, field, new)
      return 1
    end
    return 0
  end,
  ring = function(stream, added, channel, who)
    if redis.call('XLEN', stream) <= tonumber(added) then
      return redis.call('PUBLISH', channel, who)
    end
    return 0
  end,
}

local replies = { 'done', now }
local at = 2
while at < #ARGV do
  local want = ARGV[at]
  local last = at + 1 + tonumber(ARGV[at + 1])
  local step = steps[ARGV[at + 2]]
  local reply
  if step then
    reply = step(unpack(ARGV, at + 3, last))
  elseif want == '?' then
    reply = redis.pcall(unpack(ARGV, at + 2, last))
  else
    reply = redis.call(unpack(ARGV, at + 2, last))
  end
  if want == '+' then
    replies[#replies + 1] = reply
  end
  at = last + 1
end
return replies
