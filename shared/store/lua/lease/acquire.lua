-- Take a partition's lease, if nobody holds it.
--
-- KEYS[1]  lease            {p07}:lease:normalise
-- ARGV[1]  owner            who we are
-- ARGV[2]  ttl_ms           how long until it expires unless renewed
--
-- Returns { 'acquired', epoch, who let it expire, or '' } or { 'held', owner, '' }.
--
-- The epoch rises with each change of owner and outlives the lease: it is the fencing token. It never
-- falls behind the clock, so that a Redis which lost its last second, or everything, cannot give out an
-- epoch that a worker from before still holds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'until')
if lease[1] and lease[1] ~= '' and tonumber(lease[3]) > now then
  return { 'held', lease[1], '' }
end
local epoch = math.max(tonumber(lease[2] or 0) + 1, now)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', epoch, 'until', now + ARGV[2])
return { 'acquired', epoch, lease[1] or '' }
