-- An operator has decided what becomes of the values that stood in Exist before us.
--
-- KEYS[1]  user      {p07}:user:<user>
-- KEYS[2]  due       {p07}:due
-- KEYS[3]  revision  {p07}:revision
-- ARGV[1]  before    the document of the connection to Exist, as it was read
-- ARGV[2]  after     as it shall be
-- ARGV[3]  user
--
-- Returns 'decided', or 'changed' when somebody else wrote the document since: read it and decide again.
if redis.call('HGET', KEYS[1], 'exist') ~= ARGV[1] then
  return 'changed'
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'exist', ARGV[2])
redis.call('HDEL', KEYS[1], 'found')
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[3])
redis.call('INCR', KEYS[3])
return 'decided'
