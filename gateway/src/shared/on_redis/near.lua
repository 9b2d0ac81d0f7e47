-- The riders of an area within a distance, the nearest first, without those not heard of for too long.
-- KEYS: places, times. ARGV: longitude, latitude, metres, how many at most, milliseconds for which a position holds.
-- Returns: rider, metres, longitude, latitude and time in milliseconds of each.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local stale = string.format('%.0f', now - tonumber(ARGV[5]))
repeat
    local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', stale, 'LIMIT', 0, 1000)
    if #gone > 0 then
        redis.call('ZREM', KEYS[1], unpack(gone))
        redis.call('ZREM', KEYS[2], unpack(gone))
    end
until #gone < 1000
local found = redis.call('GEOSEARCH', KEYS[1], 'FROMLONLAT', ARGV[1], ARGV[2], 'BYRADIUS', ARGV[3], 'm',
    'ASC', 'COUNT', ARGV[4], 'WITHDIST', 'WITHCOORD')
local riders = {}
for _, one in ipairs(found) do
    local at = redis.call('ZSCORE', KEYS[2], one[1])
    if at then
        riders[#riders + 1] = {one[1], one[2], one[3][1], one[3][2], at}
    end
end
return riders
