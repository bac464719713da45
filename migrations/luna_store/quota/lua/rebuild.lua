-- Make the account's keys say what Postgres says, less what Postgres has not heard of yet. Atomic, so it may run
-- at any time while debits go on; the caller holds the account's row lock, so Postgres stands still meanwhile.
-- KEYS: account, quota, events.
-- ARGV: units left by Postgres, window start ms, last event id already booked ('' = none), then field, value, ...

local left = tonumber(ARGV[1])
local start = '-'
if ARGV[3] ~= '' then start = '(' .. ARGV[3] end
for _, entry in ipairs(redis.call('XRANGE', KEYS[3], start, '+')) do
  local fields = entry[2]
  local units
  for i = 1, #fields, 2 do
    if fields[i] == 'u' then units = tonumber(fields[i + 1]) end
  end
  if tonumber(string.match(entry[1], '^(%d+)-')) >= tonumber(ARGV[2]) then left = left - units end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('SET', KEYS[2], string.format('%.0f', left))
return left
