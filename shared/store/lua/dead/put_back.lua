-- Put dead letters back into the streams they came from, in their order: each once, whoever else tries.
--
-- KEYS[1]  raw stream      {p07}:raw
-- KEYS[2]  normalised      {p07}:normalised
-- KEYS[3]  counters        {p07}:counts
-- KEYS[4…] dead letters    {p07}:dead:<bucket>, of each letter
-- ARGV[1]  partition       what to ring
-- ARGV[2]  channel         to ring the normaliser on, or '' where nobody listens
-- ARGV[3]  channel         likewise the exist-writer
-- ARGV[4…] of each letter
--            transaction   its field
--            stage         'normalise' or 'write': whose stream
--            entry         the event to append
--            source        whose counters
--
-- Returns of each letter the id of its new entry, or '' when somebody else took it.
--
-- A letter is a transaction that has ended. What goes back is another one: it was appended, and one that goes
-- back behind the normaliser is under way.
local ids = {}
local rung = {}
for i = 4, #KEYS do
  local at = 4 + (i - 4) * 4
  local stage, source = ARGV[at + 1], ARGV[at + 3]
  if redis.call('HDEL', KEYS[i], ARGV[at]) == 0 then
    ids[#ids + 1] = ''
  else
    local stream = KEYS[stage == 'write' and 2 or 1]
    ids[#ids + 1] = redis.call('XADD', stream, '*', 'e', ARGV[at + 2])
    redis.call('HINCRBY', KEYS[3], 'appended:' .. source, 1)
    if stage == 'write' then
      redis.call('HINCRBY', KEYS[3], 'state:' .. source .. ':processing', 1)
    end
    rung[ARGV[stage == 'write' and 3 or 2]] = true
  end
end
for channel, _ in pairs(rung) do
  if channel ~= '' then
    redis.call('PUBLISH', channel, ARGV[1])
  end
end
return ids
