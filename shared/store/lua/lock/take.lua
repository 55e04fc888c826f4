-- Take the key lock of one user in one stage of a partition, for somebody who does not own it.
--
-- KEYS[1]  lease            {p07}:lease:write
-- KEYS[2]  locks            {p07}:locks:write
-- KEYS[3]  in hand          {p07}:hand:write
-- ARGV[1]  user
-- ARGV[2]  who              whoever wants it, for people
-- ARGV[3]  ttl_ms           how long it lasts unless renewed
-- ARGV[4]  wish_ms          how long the owner leaves the user alone for somebody who came too early
--
-- Returns { 'taken', token, 0 }, { 'held', who, how much longer in ms }, or { 'busy', '', how much longer in ms }
-- while the owner has the user in hand: it begins nothing new with the user then.
--
-- The token rises with each taking, and it never falls behind the clock, as an epoch does not. It stands
-- beside the epoch, where each of the owner's commits reads it anyway: an owner that saw another one read
-- its state before the lock was taken.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local user = ARGV[1]

local held, until_ms, who = string.match(redis.call('HGET', KEYS[2], user) or '', '^(%d+) (%d+) (.*)$')
if held and held ~= '0' and tonumber(until_ms) > now then
  return { 'held', who, until_ms - now }
end

local busy_ms, expired = 0, {}
local marks = redis.call('HGETALL', KEYS[3])
for i = 1, #marks, 2 do
  -- 't:user', 't:user/source' or 'b:user'
  if string.match(marks[i], '^.:([^/]*)') == user then
    local left_ms = string.match(marks[i + 1], ' (%d+)$') - now
    if left_ms > 0 then
      busy_ms = math.max(busy_ms, left_ms)
    else
      expired[#expired + 1] = marks[i]
    end
  end
end
if busy_ms > 0 then
  redis.call('HSET', KEYS[2], user, string.format('0 %.0f %s', now + ARGV[4], ARGV[2]))
  return { 'busy', '', busy_ms }
end
if #expired > 0 then
  redis.call('HDEL', KEYS[3], unpack(expired))
end

local token = string.format('%.0f', math.max(tonumber(redis.call('HGET', KEYS[1], 'locks') or 0) + 1, now))
redis.call('HSET', KEYS[1], 'locks', token)
redis.call('HSET', KEYS[2], user, string.format('%s %.0f %s', token, now + ARGV[3], ARGV[2]))
return { 'taken', token, 0 }
