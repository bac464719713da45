-- Admit one request, whole or not at all: identity, standing, grant, limits, rate, quota; then debit and append the
-- event. Grants and limits are data: which there are is no matter of this script.
-- KEYS: account, quota, rate, events.
-- ARGV: key prefix, key digests, joined by commas ('' = a verified token), units, debit id, route, capability and name
-- of what must be granted ('' = nothing), then for each limited thing its limit's name and the amount; then, where the
-- request is traced, its traceparent.
-- Units 0 asks for the standing without consuming anything.
-- Answer: {code, quota limit, units left, window end ms, window length s, burst, tokens left, wait us,
-- emission interval us, limits as JSON, the limit that is exceeded ('' = none)}

local account = redis.call('HMGET', KEYS[1],
  'state', 'expires_at', 'window_ends_at', 'quota_limit', 'interval', 'burst', 'allowed', 'epoch', 'key:' .. ARGV[1],
  'window_s', 'limits')
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
local allowed, limits = account[7], account[11]
if not (allowed and limits) then allowed, limits = of_earlier_hash(KEYS[1]) end

-- GCRA: the theoretical arrival time (tat) of the next request of a full-speed sender.
local tat = math.max(tonumber(redis.call('GET', KEYS[3]) or '0'), now_us)
-- Later than an empty bucket's: the rate was raised since, or the clock was put back. What was owed is forgiven.
if tat > now_us + burst * interval then tat = now_us end
local tokens = math.floor((now_us + burst * interval - tat) / interval)

local function answer(code, wait_us, exceeded)
  return {code, limit, left, window_end, tonumber(account[10]), burst, tokens, wait_us, interval, limits,
    exceeded or ''}
end

local function granted(capability, name)
  -- Most accounts: everything is allowed, and nothing has to be decoded.
  if allowed == '{"*":["*"]}' then return true end
  local all = cjson.decode(allowed)
  for _, each in ipairs(all[capability] or all['*'] or {}) do
    if each == '*' or each == name then return true end
  end
  return false
end

if account[1] ~= 'active' then return answer('suspended', 0) end
if account[2] ~= '0' and now_ms >= tonumber(account[2]) then return answer('expired', 0) end
if ARGV[6] ~= '' and not granted(ARGV[6], ARGV[7]) then return answer('grant', 0) end

local units = tonumber(ARGV[3])
if units == 0 then return answer('ok', 0) end
-- Before the rate: what can never be served costs no token.
if #ARGV > 7 and limits ~= '{}' then
  local most = cjson.decode(limits)
  for i = 8, #ARGV - 1, 2 do
    if most[ARGV[i]] and tonumber(ARGV[i + 1]) > most[ARGV[i]] then return answer('limit', 0, ARGV[i]) end
  end
end
if tokens < 1 then return answer('rate', tat + interval - burst * interval - now_us) end
if left < units then return answer('quota', 0) end

left = left - units
tokens = tokens - 1
tat = tat + interval
-- The event first: if it cannot be written, nothing has been taken.
local event = {'d', ARGV[4], 'u', ARGV[3], 'r', ARGV[5], 'e', account[8]}
if #ARGV % 2 == 0 then event[9], event[10] = 't', ARGV[#ARGV] end
redis.call('XADD', KEYS[4], '*', unpack(event))
redis.call('DECRBY', KEYS[2], units)
redis.call('SET', KEYS[3], string.format('%.0f', tat), 'PX', math.ceil((tat - now_us) / 1000) + 1)
return answer('ok', 0)
