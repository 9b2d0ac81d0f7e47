-- Takes a token from a bucket, kept as the time in microseconds at which it will be full.
-- KEYS: the bucket. ARGV: microseconds for a token to come back, tokens of a full bucket.
-- Returns: 1 if there was one, how many are left, microseconds until the next, microseconds until it is full.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local ahead = full_at + interval - now
local room = interval * burst
if ahead > room then
    return {0, 0, ahead - room, full_at - now}
end
redis.call('SET', KEYS[1], string.format('%.0f', full_at + interval), 'PX', math.ceil(ahead / 1000))
return {1, math.floor((room - ahead) / interval), 0, ahead}
