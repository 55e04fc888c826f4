-- Do a list of commands at once, but only while the partition's lease is still ours.
--
-- KEYS[1]   lease            {p07}:lease:normalise
-- KEYS[2…]  every key that the guard or a command below touches
-- ARGV[1]   epoch            the fencing token of our lease; '' for somebody who has a key lock instead
-- ARGV[2]   words            how many words the guard has; 0 for none
-- ARGV[3…]  the guard: what must hold besides (below)
-- then      the commands, one after the other, each as
--             reply          '+' when its reply is wanted, '-' when not, '?' when not and it may fail
--             words          how many words follow
--             word …         a Redis command with its arguments, or a step of ours (below)
--
-- Returns { 'done', now_ms, how often key locks were taken here, reply … }, or with nothing done
-- { 'fenced' } (the epoch is another), { 'locked' } (somebody took a key lock), { 'lost' } (ours is gone) or
-- { 'gone' } (entries that were to be there are not).
--
-- Reading and deciding happen in the owner, in Rust, where rules can be tested. That is safe because
-- only the owner changes its partition, and because of this check: whoever lost the lease since it
-- read does nothing at all.
--
-- Guards:
--   seen COUNT                      nobody took a key lock since we saw that many taken
--   hand KEY TOKEN LAST FIELD …     these are in our hand still; not any more after it, if LAST is 1
--   lock KEY USER TOKEN             we hold the user's key lock
--
-- Steps of ours compare with Redis' clock, or with what stands in a key:
-- Their names are in small letters, Redis' own in capitals:
--   append STREAM ENTRY …           XADD, each
--   after KEY MODE DELAY MEMBER …   ZADD with the score now + delay (ms); MODE is NX, LT, GT, XX, or CH for any
--   again KEY HASH DELAY MEMBER SINCE FIELD VALUE …
--                                   likewise, for a member that was handled since SINCE (ms): due at once if
--                                   a field of the hash does not hold its value ('' = absent), and left
--                                   alone if somebody made it due meanwhile
--   undue KEY MEMBER SINCE          ZREM, unless somebody made it due since SINCE (ms)
--   rest KEY HASH DELAY MEMBER OTHER
--                                   likewise if the hash holds anything; else ZADD with what the other
--                                   hash's field check_at says, or ZREM
--   due KEY LIMIT HAND LOCKS TOKEN TTL AGAIN
--                                   members whose score has come and that are not in our hand yet, taken in
--                                   hand, and the next score, or false; those of locked users are due AGAIN
--                                   ms later
--   hold HAND LOCKS TOKEN TTL USER …
--                                   takes users in hand for a batch, and says which of them are locked
--   locks LOCKS                     the locked users, each with how much longer (ms)
--   drop HAND KIND                  nothing of a kind is in hand any more
--   clear KEY FIELD VALUE           HDEL the field if it still holds the value
--   swap KEY FIELD OLD NEW          HSET the field if it still holds the old value ('' = absent)
--   withhold LIST ENTRY AT REVISION SEEN STREAM COUNTS FIELD
--                                   RPUSH, and let the list expire AT (ms; 0 = never). If documents changed since
--                                   SEEN, what it waits for may be there: XADD it again, and take it off the count
--   skip ZSET MEMBER DELAY SKIPPED REVISION SEEN HASH FIELDS
--                                   a paused member is due after DELAY (ms), and noted as skipped; if documents
--                                   changed since SEEN, or the hash has not so many fields any more ('' =
--                                   whatever), it is due now
--   ring STREAM ADDED CHANNEL WHO REVISION
--                                   PUBLISH if the stream holds nothing but what was just added: a reader that
--                                   is at work looks again before it rests. A few entries are told with it
--   there STREAM FIRST LAST COUNT   begins a list: the stream holds so many entries from one id to another
local lease = redis.call('HMGET', KEYS[1], 'epoch', 'locks')
if ARGV[1] ~= '' and lease[1] ~= ARGV[1] then
  return { 'fenced' }
end
local taken = lease[2] or '0'

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local commands = 3 + ARGV[2]
if commands > 3 then
  local refused
  if ARGV[3] == 'seen' then
    refused = taken ~= ARGV[4] and 'locked'
  elseif ARGV[3] == 'hand' then
    for _, mark in ipairs(redis.call('HMGET', ARGV[4], unpack(ARGV, 7, commands - 1))) do
      -- One that expired is still ours until somebody takes the lock instead.
      if not mark or string.match(mark, '^%S+') ~= ARGV[5] then
        refused = 'locked'
      end
    end
    if not refused and ARGV[6] == '1' then
      redis.call('HDEL', ARGV[4], unpack(ARGV, 7, commands - 1))
    end
  elseif ARGV[3] == 'lock' then
    local held, until_ms = string.match(redis.call('HGET', ARGV[4], ARGV[5]) or '', '^(%d+) (%d+)')
    refused = (held ~= ARGV[6] or tonumber(until_ms) <= now) and 'lost'
  else
    return redis.error_reply('ERR no such guard: ' .. ARGV[3])
  end
  if refused then
    return { refused }
  end
end

-- Steps that few commits have: making all of them takes longer than most commands.
local function seldom()
  -- Users whose key lock somebody has or waits for, and until when. What expired is removed: then no clock
  -- that is set back makes it valid again.
  local function locked(locks)
    local users = {}
    local fields = redis.call('HGETALL', locks)
    for i = 1, #fields, 2 do
      local until_ms = tonumber(string.match(fields[i + 1], '^%d+ (%d+)'))
      if until_ms > now then
        users[fields[i]] = until_ms
      else
        redis.call('HDEL', locks, fields[i])
      end
    end
    return users
  end

  local function mark(token, ttl)
    return string.format('%s %.0f', token, now + ttl)
  end

  return {
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
    due = function(key, limit, hand, locks, token, ttl, again)
      local members = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit)
      local taken_up, marks = {}, {}
      if #members > 0 then
        local users = locked(locks)
        local epoch = string.match(token, '^%d+')
        local fields = {}
        for i, member in ipairs(members) do
          fields[i] = 't:' .. member
        end
        local before = redis.call('HMGET', hand, unpack(fields))
        for i, member in ipairs(members) do
          if before[i] and string.match(before[i], '^%d+') == epoch then
            -- It is in our hand.
          elseif users[string.match(member, '^[^/]*')] then
            redis.call('ZADD', key, now + again, member)
          else
            taken_up[#taken_up + 1] = member
            marks[#marks + 1] = fields[i]
            marks[#marks + 1] = mark(token, ttl)
          end
        end
        if #marks > 0 then
          redis.call('HSET', hand, unpack(marks))
        end
      end
      local next = redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      return { taken_up, next[2] or false }
    end,
    hold = function(hand, locks, token, ttl, ...)
      local users = locked(locks)
      local waiting, marks = {}, {}
      for _, user in ipairs({ ... }) do
        if users[user] then
          waiting[#waiting + 1] = user
        else
          marks[#marks + 1] = 'b:' .. user
          marks[#marks + 1] = mark(token, ttl)
        end
      end
      if #marks > 0 then
        redis.call('HSET', hand, unpack(marks))
      end
      return waiting
    end,
    locks = function(locks)
      local reply = {}
      for user, until_ms in pairs(locked(locks)) do
        reply[#reply + 1] = user
        reply[#reply + 1] = until_ms - now
      end
      return reply
    end,
    drop = function(hand, kind)
      for _, field in ipairs(redis.call('HKEYS', hand)) do
        if string.sub(field, 1, #kind) == kind then
          redis.call('HDEL', hand, field)
        end
      end
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
    withhold = function(list, entry, at, revision, seen, stream, counts, field)
      if (redis.call('GET', revision) or '0') ~= seen then
        redis.call('XADD', stream, '*', 'e', entry)
        return redis.call('HINCRBY', counts, field, -1)
      end
      redis.call('RPUSH', list, entry)
      if at == '0' then
        return redis.call('PERSIST', list)
      end
      return redis.call('PEXPIREAT', list, at)
    end,
    skip = function(zset, member, delay, skipped, revision, seen, hash, fields)
      local news = fields ~= '' and redis.call('HLEN', hash) ~= tonumber(fields)
      if news or (redis.call('GET', revision) or '0') ~= seen then
        return redis.call('ZADD', zset, 'XX', now, member)
      end
      redis.call('ZADD', zset, 'XX', now + delay, member)
      return redis.call('SADD', skipped, member)
    end,
  }
end

local replies = { 'done', now, tonumber(taken) }
local seldom_made, appended

-- What a reader is told: which partition, and if all that was added is few entries, the moment, the documents'
-- revision, each entry's id and length, and after the line the entries themselves.
local function told(who, revision, stream, count)
  if count > 8 or not appended or appended.stream ~= stream or #appended.ids ~= count then
    return who
  end
  local line = { who, string.format('%.0f', now), redis.call('GET', revision) or '0' }
  for i, id in ipairs(appended.ids) do
    line[#line + 1] = id .. ' ' .. #ARGV[appended.first + i - 1]
  end
  return table.concat(line, ' ') .. '\n' .. table.concat(ARGV, '', appended.first, appended.first + count - 1)
end

local at = commands
while at < #ARGV do
  local want = ARGV[at]
  local last = at + 1 + tonumber(ARGV[at + 1])
  local name, key = ARGV[at + 2], ARGV[at + 3]
  local reply
  if name == 'append' then
    local ids = {}
    for i = at + 4, last do
      ids[#ids + 1] = redis.call('XADD', key, '*', 'e', ARGV[i])
    end
    appended = { stream = key, ids = ids, first = at + 4 }
  elseif name == 'after' then
    local words, due = {}, now + ARGV[at + 5]
    for i = at + 6, last do
      words[#words + 1] = due
      words[#words + 1] = ARGV[i]
    end
    redis.call('ZADD', key, ARGV[at + 4], unpack(words))
  elseif name == 'ring' then
    local count = tonumber(ARGV[at + 4])
    if redis.call('XLEN', key) <= count then
      redis.call('PUBLISH', ARGV[at + 5], told(ARGV[at + 6], ARGV[at + 7], key, count))
    end
  elseif name == 'there' then
    if #redis.call('XRANGE', key, ARGV[at + 4], ARGV[at + 5]) ~= tonumber(ARGV[at + 6]) then
      return { 'gone' }
    end
  elseif name >= 'a' then
    seldom_made = seldom_made or seldom()
    reply = seldom_made[name](unpack(ARGV, at + 3, last))
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
