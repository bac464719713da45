-- `allowed` and `limits` of a hash that a release before revision 0005 wrote: it has neither, but a field of models and
-- one for each limit. To be removed with the columns that they are written from. It comes before debit.lua, and after
-- `local earlier_limits = {<field> = '<limit>', ...}`.
local function of_earlier_hash(key)
  local models = redis.call('HGET', key, 'models')
  local allowed, limits = {['*'] = {'*'}}, {}
  if models ~= '*' then
    allowed.kalman = {}
    for name in string.gmatch(models or '', '[^\n]+') do table.insert(allowed.kalman, name) end
  end
  for field, limit in pairs(earlier_limits) do
    local value = tonumber(redis.call('HGET', key, field) or '0')
    if value > 0 then limits[limit] = value end
  end
  return cjson.encode(allowed), cjson.encode(limits)
end

