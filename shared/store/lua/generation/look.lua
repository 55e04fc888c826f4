-- Which run of Redis this is, and which run the partition's data was last known to be whole under.
--
-- KEYS[1]  lease        {p07}:lease:write
-- KEYS[2]  generation   {p07}:generation
-- ARGV[1]  epoch        the fencing token of our lease
-- ARGV[2]  stage        the field of the generation
--
-- Returns { 'same', run, '' } while both are one, { 'other', run, marked or '' } when they are not, or
-- { 'fenced', the epoch in force, or '', '' }.
local held = redis.call('HGET', KEYS[1], 'epoch')
if held ~= ARGV[1] then
  return { 'fenced', held or '', '' }
end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local marked = redis.call('HGET', KEYS[2], ARGV[2]) or ''
return { run == marked and 'same' or 'other', run, marked }
