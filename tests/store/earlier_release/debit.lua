-- Admit one request, whole or not at all: identity, standing, limits, rate, quota; then debit and append the event.
-- KEYS: account, quota, rate, events.
-- ARGV: key prefix, key digests, joined by commas ('' = a verified token), model, units, debit id, route,
-- points of the longest series.
-- Units 0 asks for the standing without consuming anything.
-- Answer: {code, quota limit, units left, window end ms, window length s, burst, tokens left, wait us,
-- emission interval us, most series, most points of a series (0 = only the server's limit)}

local account = redis.call('HMGET', KEYS[1],
  'state', 'expires_at', 'window_ends_at', 'quota_limit', 'interval', 'burst', 'models', 'epoch', 'key:' .. ARGV[1],
  'window_s', 'max_series', 'max_length')
local left = redis.call('GET', KEYS[2])
if not account[1] or not left then return {'unknown'} end

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)

-- Identity. A field reads '<digest>:<expiry ms, 0 = none>'.
if not account[9] then return {'key'} end
local digest, key_expiry = string.match(account[9], '^(%x+):(%d+)$')
if ARGV[2] ~= '' and not string.find(ARGV[2], digest, 1, true) then return {'key'} end
if key_expiry ~= '0' and now_ms >= tonumber(key_expiry) then return {'key'} end

-- A window that has ended is rolled from Postgres, which owns it.
local window_end = tonumber(account[3])
if window_end > 0 and now_ms >= window_end then return {'unknown'} end

local limit, burst, interval = tonumber(account[4]), tonumber(account[6]), tonumber(account[5])
left = tonumber(left)
-- A hash that an older release wrote has no limits.
local max_series, max_length = tonumber(account[11] or '0'), tonumber(account[12] or '0')

-- GCRA: the theoretical arrival time (tat) of the next request of a full-speed sender.
local tat = math.max(tonumber(redis.call('GET', KEYS[3]) or '0'), now_us)
-- Later than an empty bucket's: the rate was raised since, or the clock was put back. What was owed is forgiven.
if tat > now_us + burst * interval then tat = now_us end
local tokens = math.floor((now_us + burst * interval - tat) / interval)

local function answer(code, wait_us)
  return {code, limit, left, window_end, tonumber(account[10]), burst, tokens, wait_us, interval,
    max_series, max_length}
end

if account[1] ~= 'active' then return answer('suspended', 0) end
if account[2] ~= '0' and now_ms >= tonumber(account[2]) then return answer('expired', 0) end
if ARGV[3] ~= '' and account[7] ~= '*' then
  -- Newlines stand between the names and around them.
  if not string.find(account[7], '\n' .. ARGV[3] .. '\n', 1, true) then return answer('model', 0) end
end

local units = tonumber(ARGV[4])
if units == 0 then return answer('ok', 0) end
-- Before the rate: what can never be served costs no token.
if max_series > 0 and units > max_series then return answer('series', 0) end
if max_length > 0 and tonumber(ARGV[7]) > max_length then return answer('length', 0) end
if tokens < 1 then return answer('rate', tat + interval - burst * interval - now_us) end
if left < units then return answer('quota', 0) end

left = left - units
tokens = tokens - 1
tat = tat + interval
-- The event first: if it cannot be written, nothing has been taken.
redis.call('XADD', KEYS[4], '*', 'd', ARGV[5], 'u', ARGV[4], 'r', ARGV[6], 'e', account[8])
redis.call('DECRBY', KEYS[2], units)
redis.call('SET', KEYS[3], string.format('%.0f', tat), 'PX', math.ceil((tat - now_us) / 1000) + 1)
return answer('ok', 0)
