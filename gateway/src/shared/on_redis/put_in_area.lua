-- Notes where in an area a rider is, unless a later position is known or it is too old; drops some that are.
-- KEYS: places, times. ARGV: rider, longitude, latitude, time in milliseconds, milliseconds for which it holds.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at, stale = math.min(tonumber(ARGV[4]), now), now - tonumber(ARGV[5])
local known = redis.call('ZSCORE', KEYS[2], ARGV[1])
if at <= stale or (known and tonumber(known) > at) then
    return 0
end
local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', stale), 'LIMIT', 0, 100)
if #gone > 0 then
    redis.call('ZREM', KEYS[1], unpack(gone))
    redis.call('ZREM', KEYS[2], unpack(gone))
end
redis.call('GEOADD', KEYS[1], ARGV[2], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[2], string.format('%.0f', at), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1
