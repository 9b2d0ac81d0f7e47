-- Notes a rider's last position, unless a later one is known or it is too old.
-- KEYS: the rider's position. ARGV: time in milliseconds, latitude, longitude, milliseconds for which it holds.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- A clock that is ahead must not keep a rider for longer.
local at = math.min(tonumber(ARGV[1]), now)
local left = at + tonumber(ARGV[4]) - now
local known = redis.call('GET', KEYS[1])
if left <= 0 or (known and tonumber(string.match(known, '^%S+')) > at) then
    return 0
end
redis.call('SET', KEYS[1], string.format('%.0f %s %s', at, ARGV[2], ARGV[3]), 'PX', left)
return 1
