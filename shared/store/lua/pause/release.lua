-- Put what waited for a connection back into the raw stream, oldest first.
--
-- KEYS[1]  held            {p07}:held:<user>:<source>
-- KEYS[2]  raw stream      {p07}:raw
-- KEYS[3]  counters        {p07}:counts
-- ARGV[1]  limit           most entries at once
-- ARGV[2]  counter         state:<source>:disabled
-- ARGV[3]  channel         to ring the normaliser on, or '' where nobody listens
-- ARGV[4]  partition       what to ring
--
-- Returns how many went back. In one step: two who release at once must not do it twice.
local entries = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
for _, entry in ipairs(entries) do
  redis.call('XADD', KEYS[2], '*', 'e', entry)
end
if #entries > 0 then
  redis.call('LTRIM', KEYS[1], #entries, -1)
  redis.call('HINCRBY', KEYS[3], ARGV[2], -#entries)
  if ARGV[3] ~= '' then
    redis.call('PUBLISH', ARGV[3], ARGV[4])
  end
end
return #entries
