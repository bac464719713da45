-- Give back what one debit took, once, however often this is called.
-- KEYS: account, quota, events, refunded marker.
-- ARGV: units, refund id, debit id, route, marker's life in s.
-- Answer: 1 refunded now, 0 was refunded before, -1 the account is not here.

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch or redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
if not redis.call('SET', KEYS[4], '1', 'NX', 'EX', ARGV[5]) then return 0 end

redis.call('INCRBY', KEYS[2], ARGV[1])
redis.call('XADD', KEYS[3], '*', 'd', ARGV[2], 'u', '-' .. ARGV[1], 'r', ARGV[4], 'e', epoch, 'o', ARGV[3])
return 1
