-- Notes that a session is open, unless it has ended or the user's mark has changed since the user was asked.
-- KEYS: the note, the user's mark. ARGV: the mark then, milliseconds for which the note holds.
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] or redis.call('GET', KEYS[1]) == 'ended' then
    return 0
end
redis.call('SET', KEYS[1], 'open:' .. ARGV[1], 'PX', ARGV[2])
return 1
