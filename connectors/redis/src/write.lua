-- Writes changes and, where it is given, the reach; nothing where a later writer has taken over.
-- KEYS: the hash of writers, the hash of progress. ARGV: prefix, writer, epoch, reach or "", then of each change:
-- "1" or "0" (entered or left), user, segment, instant.
if redis.call("HGET", KEYS[1], ARGV[2]) ~= ARGV[3] then
    return redis.error_reply("FENCED a later writer has taken over")
end
for at = 5, #ARGV, 4 do
    local user = ARGV[1] .. ":user:" .. ARGV[at + 1] .. ":segments"
    local segment = ARGV[1] .. ":segment:" .. ARGV[at + 2] .. ":members"
    if ARGV[at] == "1" then
        redis.call("HSET", user, ARGV[at + 2], ARGV[at + 3])
        redis.call("SADD", segment, ARGV[at + 1])
    else
        redis.call("HDEL", user, ARGV[at + 2])
        redis.call("SREM", segment, ARGV[at + 1])
    end
end
if ARGV[4] == "forget" then
    redis.call("HDEL", KEYS[2], ARGV[2])
elseif ARGV[4] ~= "" then
    redis.call("HSET", KEYS[2], ARGV[2], ARGV[4])
end
return redis.status_reply("OK")
