-- Take one attempt from each bucket, or from none: GCRA, and a block that begins with the first attempt beyond it.
-- KEYS: the buckets, in one slot. Each is a hash of `full_at`, when the bucket is full again (GCRA's theoretical arrival
-- time), and `until`, when its block ends; both in microseconds.
-- ARGV, for each bucket: attempts, microseconds until one comes back, microseconds of the block.
-- Answer: {1, attempts that the emptiest bucket lacks} or {0, microseconds until the block ends}.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full_at, wait = {}, 0

local function keep(i, until_us)
  redis.call('HSET', KEYS[i], 'full_at', string.format('%.0f', full_at[i]), 'until', string.format('%.0f', until_us))
  redis.call('PEXPIRE', KEYS[i], math.ceil((math.max(full_at[i], until_us) - now) / 1000) + 1)
end

for i = 1, #KEYS do
  local attempts, refill, block = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local held = redis.call('HMGET', KEYS[i], 'full_at', 'until')
  local until_us = tonumber(held[2] or '0')
  full_at[i] = math.max(tonumber(held[1] or '0'), now)
  -- Later than an empty bucket's: a setting was changed since, or the clock was put back.
  if full_at[i] > now + attempts * refill then full_at[i] = now + attempts * refill end
  if until_us > now + block then until_us = now + block end
  if until_us <= now and full_at[i] + refill > now + attempts * refill then
    until_us = now + block
    keep(i, until_us)
  end
  wait = math.max(wait, until_us - now)
end
if wait > 0 then return {0, wait} end

local used = 0
for i = 1, #KEYS do
  local refill = tonumber(ARGV[3 * i - 1])
  full_at[i] = full_at[i] + refill
  used = math.max(used, math.ceil((full_at[i] - now) / refill))
  keep(i, 0)
end
return {1, used}
