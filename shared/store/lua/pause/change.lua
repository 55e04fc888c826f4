-- Pause or resume: note it where it belongs, and tell everybody who looks at this partition.
--
-- KEYS[1]  pauses          {p07}:paused, or {p07}:user:<user>
-- KEYS[2]  revision        {p07}:revision
-- KEYS[3]  schedule        {p07}:schedule
-- KEYS[4]  due             {p07}:due
-- KEYS[5]  skipped polls   {p07}:skipped:fetch
-- KEYS[6]  skipped users   {p07}:skipped:write
-- ARGV[1]  field           of the hash
-- ARGV[2]  pause           who, when, why; '' to resume
-- ARGV[3]  owner           a field that must be there as well, or '' for none
-- ARGV[4]  user            whose skipped members are due again, or '' for everybody's
-- ARGV[5]  partition       what to ring
-- ARGV[6…] channels        to ring; none where nobody listens
--
-- Returns 'done', 'not paused', or 'gone' when nobody of that name is connected any more.
--
-- Whoever finds a member paused notes it as skipped, in the step that puts it off, unless the revision has
-- moved since it looked. So a member is either in the set by now, or is looked at again at once.
if ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[1], ARGV[3]) == 0 then
  return 'gone'
end
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
elseif redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return 'not paused'
end
redis.call('INCR', KEYS[2])
if ARGV[2] == '' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local function release(skipped, zset)
    for _, member in ipairs(redis.call('SMEMBERS', skipped)) do
      if ARGV[4] == '' or member == ARGV[4] or string.sub(member, 1, #ARGV[4] + 1) == ARGV[4] .. '/' then
        redis.call('ZADD', zset, 'XX', now, member)
        redis.call('SREM', skipped, member)
      end
    end
  end
  release(KEYS[5], KEYS[3])
  release(KEYS[6], KEYS[4])
  if ARGV[4] ~= '' then
    -- What an operator asked for meanwhile may be all that there is to do.
    redis.call('ZADD', KEYS[4], now, ARGV[4])
  end
end
for i = 6, #ARGV do
  redis.call('PUBLISH', ARGV[i], ARGV[5])
end
return 'done'
