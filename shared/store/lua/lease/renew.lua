-- Keep a partition's lease, while it is still ours.
--
-- KEYS[1]  lease            {p07}:lease:normalise
-- ARGV[1]  epoch            the fencing token we hold
-- ARGV[2]  ttl_ms           how long from now
--
-- Returns 'renewed' or 'lost'. A lease that expired but that nobody took is still ours; one that was
-- released is not, although its epoch stands until the next owner comes.
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if lease[2] ~= ARGV[1] or lease[1] == '' then
  return 'lost'
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
return 'renewed'
