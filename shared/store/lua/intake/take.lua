-- Take a webhook's records in: all of them, once, if the connection is still there.
--
-- KEYS[1]  user            {p07}:user:<user>
-- KEYS[2]  raw stream      {p07}:raw
-- KEYS[3]  counters        {p07}:counts
-- KEYS[4]  schedule        {p07}:schedule
-- KEYS[5]  deliveries      {p07}:deliveries:<source>:<generation>, the present one
-- KEYS[6]  deliveries      the one before
-- ARGV[1]  connection      its field of the user's hash
-- ARGV[2]  delivery        what is remembered of it, or '' to remember nothing
-- ARGV[3]  expiry          when the present generation expires, in ms since 1970
-- ARGV[4]  hint            'recent', 'window', or '' for none
-- ARGV[5]  hint field      of the user's hash
-- ARGV[6]  member          of the schedule
-- ARGV[7]  delay           until the poll that the hint asks for, in ms
-- ARGV[8]  counter         appended:<source>
-- ARGV[9]  channel         to ring the normaliser on, or '' where nobody listens
-- ARGV[10] partition       what to ring
-- ARGV[11…] the entries to append
--
-- Returns 'taken', 'duplicate', or 'gone' when the user is not connected any more.
--
-- No lease is asked for: whoever the webhook reached may take it. It only adds to the stream, as the
-- fetcher would, and the arrival rules make a repeated record harmless.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 'gone'
end
if ARGV[2] ~= '' then
  if redis.call('SISMEMBER', KEYS[6], ARGV[2]) == 1 or redis.call('SADD', KEYS[5], ARGV[2]) == 0 then
    return 'duplicate'
  end
  redis.call('PEXPIREAT', KEYS[5], ARGV[3])
end
for i = 11, #ARGV do
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[i])
end
if #ARGV > 10 then
  redis.call('HINCRBY', KEYS[3], ARGV[8], #ARGV - 10)
  -- A reader that is at work looks again before it rests.
  if ARGV[9] ~= '' and redis.call('XLEN', KEYS[2]) <= #ARGV - 10 then
    redis.call('PUBLISH', ARGV[9], ARGV[10])
  end
end
if ARGV[4] ~= '' then
  local time = redis.call('TIME')
  local hint = ARGV[4]
  if string.sub(redis.call('HGET', KEYS[1], ARGV[5]) or '', 1, 6) == 'window' then
    hint = 'window'
  end
  redis.call('HSET', KEYS[1], ARGV[5], hint .. '/' .. time[1] .. '.' .. time[2])
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', KEYS[4], 'LT', now + tonumber(ARGV[7]), ARGV[6])
end
return 'taken'
