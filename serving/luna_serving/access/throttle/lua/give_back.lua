-- Give one attempt back to each bucket, and end its block: an attempt under way was no failure.
-- KEYS: the buckets, see take.lua. ARGV: for each bucket the microseconds until one attempt comes back.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
for i = 1, #KEYS do
  local full_at = tonumber(redis.call('HGET', KEYS[i], 'full_at') or '0') - tonumber(ARGV[i])
  if full_at > now then
    redis.call('HSET', KEYS[i], 'full_at', string.format('%.0f', full_at), 'until', '0')
    redis.call('PEXPIRE', KEYS[i], math.ceil((full_at - now) / 1000) + 1)
  else
    redis.call('DEL', KEYS[i])
  end
end
return 1
