-- Give a partition's lease back, while it is still ours, so that the next owner need not wait for it.
--
-- KEYS[1]  lease            {p07}:lease:normalise
-- ARGV[1]  epoch            the fencing token we hold
--
-- Returns 'released' or 'lost'. The epoch stays: the next owner's is higher.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return 'lost'
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'owner', '', 'until', time[1] * 1000 + math.floor(time[2] / 1000))
return 'released'
