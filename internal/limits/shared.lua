-- One request, for all replicas: draws on the rate of each of its tenants, and takes a lease of each where
-- it is to keep something busy. Both for all tenants or for none.
--
-- KEYS: for each tenant the key of its rate, then for each the key of its leases, where a lease is wanted
-- ARGV: the lease's name ("" wants none), how long it holds (ms), whether to draw on the rate (0, 1), and for
--       each tenant: requests a second, burst, leases at once
-- Gives: granted (0, 1), the tenant that has the least left (from 1), what is left of its requests, in how
--        many microseconds there are more, and leased (0, 1)
local lease, holds, draw = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local tenants = (#ARGV - 3) / 3
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- A rate is one number: when all requests are there again (the generic cell rate algorithm).
local least, left, more, full = 1, nil, 0, {}
if draw then
  local granted = true
  for i = 1, tenants do
    local each, burst = 1000000 / ARGV[3 * i + 1], tonumber(ARGV[3 * i + 2])
    local after = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + each
    local early = after - burst * each - now
    local rest, wait = math.floor((burst * each - (after - now)) / each + 0.000001), after - now
    if early > 0 then
      granted, rest, wait = false, -1, early
    end
    if left == nil or rest < left or rest == left and wait > more then
      least, left, more = i, rest, wait
    end
    full[i] = after
  end
  if not granted then
    return { 0, least, 0, math.ceil(more), 0 }
  end
  for i = 1, tenants do
    redis.call('SET', KEYS[i], string.format('%.17g', full[i]), 'PX', math.ceil((full[i] - now) / 1000) + 1)
  end
end

-- Leases are members with the time when they end: those of a replica that died end by themselves.
local leased = 0
if lease ~= '' then
  leased = 1
  for i = 1, tenants do
    local key = KEYS[tenants + i]
    redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now / 1000))
    if redis.call('ZCARD', key) >= tonumber(ARGV[3 * i + 3]) then
      leased = 0
    end
  end
  if leased == 1 then
    for i = 1, tenants do
      local key = KEYS[tenants + i]
      redis.call('ZADD', key, string.format('%.0f', now / 1000 + holds), lease)
      redis.call('PEXPIRE', key, holds)
    end
  end
end
return { 1, least, left or 0, math.ceil(more), leased }
