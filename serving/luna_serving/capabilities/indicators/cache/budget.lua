-- Note an entry that was written, and choose those to remove: expired ones, and while all take more bytes than they may,
-- the oldest.
-- KEYS: index (sorted set of "<bytes>:<key>" by when it was written, in ms), bytes of all entries in it.
-- ARGV: "<bytes>:<key>", now in ms, the longest time that an entry is kept in ms, the bytes that all may take.
-- Answer: what was removed from the index because of its size; the caller removes the keys.

local function bytes_of(member) return tonumber(string.match(member, '^(%d+):')) end

local now, longest, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local total = tonumber(redis.call('GET', KEYS[2]) or '0')

-- These have expired by themselves. A few at a time: no call waits for the bookkeeping of others.
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now - longest, 'BYSCORE', 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], member)
  total = total - bytes_of(member)
end

if redis.call('ZADD', KEYS[1], now, ARGV[1]) == 1 then total = total + bytes_of(ARGV[1]) end

local removed = {}
while total > most and #removed < 100 do
  local oldest = redis.call('ZPOPMIN', KEYS[1])
  if not oldest[1] then
    total = 0
    break
  end
  total = total - bytes_of(oldest[1])
  removed[#removed + 1] = oldest[1]
end

-- Both end with the last entry: nothing is left of a cache that is not used.
redis.call('SET', KEYS[2], string.format('%.0f', math.max(total, 0)), 'PX', longest)
redis.call('PEXPIRE', KEYS[1], longest)
return removed
