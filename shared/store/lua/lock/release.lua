-- Give a key lock back, while it is still ours.
--
-- KEYS[1]  locks            {p07}:locks:write
-- ARGV[1]  user
-- ARGV[2]  token            the fencing token we hold
--
-- Returns 'released' or 'lost'.
local token = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%d+) ')
if token ~= ARGV[2] then
  return 'lost'
end
redis.call('HDEL', KEYS[1], ARGV[1])
return 'released'
