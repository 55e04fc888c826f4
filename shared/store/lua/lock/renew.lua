-- Keep a key lock, while it is still ours.
--
-- KEYS[1]  locks            {p07}:locks:write
-- ARGV[1]  user
-- ARGV[2]  token            the fencing token we hold
-- ARGV[3]  ttl_ms           how long from now
--
-- Returns 'renewed' or 'lost'. Unlike a lease, a lock that expired is lost although nobody took it: the
-- owner goes on with the user then, and tells nobody.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local token, until_ms, who = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%d+) (%d+) (.*)$')
if token ~= ARGV[2] or tonumber(until_ms) <= now then
  return 'lost'
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %.0f %s', token, now + ARGV[3], who))
return 'renewed'
