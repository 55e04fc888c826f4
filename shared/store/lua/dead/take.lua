-- Take a dead letter away: once, whoever else tries.
--
-- KEYS[1]  dead letters    {p07}:dead:<bucket>
-- ARGV[1]  transaction     the letter's field
--
-- Returns 'taken', or 'gone' when somebody else took it.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return 'gone'
end
return 'taken'
