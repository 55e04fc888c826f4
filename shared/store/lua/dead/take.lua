-- Take a dead letter away, and put its entry back if that is wanted: once, whoever else tries.
--
-- KEYS[1]  dead letters    {p07}:dead:<bucket>
-- KEYS[2]  raw stream      {p07}:raw
-- KEYS[3]  counters        {p07}:counts
-- ARGV[1]  transaction     the letter's field
-- ARGV[2]  entry           the event to append, or '' to append nothing
-- ARGV[3]  counter         appended:<source>; not looked at without an entry
-- ARGV[4]  channel         to ring the normaliser on, or '' where nobody listens
-- ARGV[5]  partition       what to ring
--
-- Returns 'taken', or 'gone' when somebody else took it.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return 'gone'
end
if ARGV[2] ~= '' then
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
  redis.call('HINCRBY', KEYS[3], ARGV[3], 1)
  if ARGV[4] ~= '' then
    redis.call('PUBLISH', ARGV[4], ARGV[5])
  end
end
return 'taken'
