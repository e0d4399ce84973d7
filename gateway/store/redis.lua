-- Applies a batch of proposals, in order, each one wholly or not at all: the four primitives on Redis.
--
-- KEYS       every key the batch touches, once each; on a cluster all carry one hash tag
-- ARGV[1]    control (JSON, numbers only), see batch.ts:
--              streams[s]    { stream key, head key, lane, entries to keep (0: all) }
--              proposals[p]  { token, once, check, append, set, index, instead }
--                once[i]     { key, value text, equal is mine (0|1), position in `instead` (0: none) }
--                check[i]    { key, version }
--                append[i]   { stream, body text }
--                set[i]      { key, value text (0: remove) }
--                index[i]    { name key, member text (0: the new entry's id), score text (0: remove) }
--                instead[i]  { append, set, index }
-- ARGV[2…]   texts, referred to from 1 up
-- returns    one answer per proposal, in the form of batch.ts `decodeOutcome`
--
-- A record is `version atMs entry token value`. One clock: TIME, read once per batch.

local control = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
local heads = {}

local function text(position) return ARGV[position + 1] end

-- Appends a body to a stream and returns the entry's id. The stream's head is read once and written back at the end.
local function append(position, body)
  local stream = control.streams[position]
  local head = heads[position]
  if not head then
    local stored = redis.call('HMGET', KEYS[stream[2]], 'number', 'chain')
    head = { number = tonumber(stored[1] or 0), chain = stored[2] or '' }
    heads[position] = head
  end
  head.number = head.number + 1
  head.chain = redis.sha1hex(head.chain .. ' ' .. now .. ' ' .. body)
  redis.call('XADD', KEYS[stream[1]], string.format('%d-0', head.number),
    'at', now, 'body', body, 'chain', head.chain)
  return string.format('%d', head.number * 16 + stream[3])
end

local function versionOf(record)
  return record and tonumber(string.match(record, '^(%d+)')) or 0
end

local function put(key, token, entry, value)
  local version = versionOf(redis.call('GET', key)) + 1
  redis.call('SET', key, string.format('%d %s %s %s ', version, now, entry, token) .. value)
end

-- Returns the id of the first entry appended, or '-'.
local function appendAll(writes)
  local first = '-'
  for _, item in ipairs(writes.append) do
    local id = append(item[1], text(item[2]))
    if first == '-' then first = id end
  end
  return first
end

local function setAndIndex(writes, token, entry)
  for _, item in ipairs(writes.set) do
    if item[2] == 0 then
      redis.call('DEL', KEYS[item[1]])
    else
      put(KEYS[item[1]], token, entry, text(item[2]))
    end
  end
  for _, item in ipairs(writes.index) do
    local member = item[2] == 0 and entry or text(item[2])
    if item[3] == 0 then
      redis.call('ZREM', KEYS[item[1]], member)
    else
      redis.call('ZADD', KEYS[item[1]], text(item[3]), member)
    end
  end
end

local RECORD = '^(%d+) (%d+) (%S+) (%S+) (.*)$'

local function apply(proposal)
  local token = text(proposal.token)
  local free = {}     -- locks to take
  local heldAt        -- the first lock that somebody else holds
  local heldRecord
  local mine          -- a record that this very proposal wrote before: { atMs, entry }
  for i, lock in ipairs(proposal.once) do
    local record = redis.call('GET', KEYS[lock[1]])
    if not record then
      if not heldAt then free[#free + 1] = lock end
    else
      local _, at, entry, writer, value = string.match(record, RECORD)
      if writer == token then
        mine = { at, entry }
      elseif lock[3] == 0 or value ~= text(lock[2]) then
        if not heldAt then heldAt, heldRecord = i, record end
      end
    end
  end
  local conflict
  for _, check in ipairs(proposal.check) do
    local record = redis.call('GET', KEYS[check[1]])
    if versionOf(record) ~= check[2] then
      local _, at, entry, writer = string.match(record or '', RECORD)
      if writer == token then mine = { at, entry } else conflict = conflict or check[1] end
    end
  end

  if mine then
    if not heldAt then return 'c ' .. mine[1] .. ' ' .. mine[2] end
    return string.format('h %d %s %s ', proposal.once[heldAt][1], mine[1], mine[2]) .. heldRecord
  end
  if heldAt then
    local lock = proposal.once[heldAt]
    local entry = '-'
    if lock[4] ~= 0 then
      local instead = proposal.instead[lock[4]]
      entry = appendAll(instead)
      for _, earlier in ipairs(free) do put(KEYS[earlier[1]], token, entry, text(earlier[2])) end
      setAndIndex(instead, token, entry)
    end
    return string.format('h %d %s %s ', lock[1], now, entry) .. heldRecord
  end
  if conflict then return string.format('x %d', conflict) end

  local entry = appendAll(proposal)
  for _, lock in ipairs(free) do
    redis.call('SET', KEYS[lock[1]], string.format('1 %s %s %s ', now, entry, token) .. text(lock[2]), 'NX')
  end
  setAndIndex(proposal, token, entry)
  return 'c ' .. now .. ' ' .. entry
end

local answers = {}
for i, proposal in ipairs(control.proposals) do answers[i] = apply(proposal) end
for position, head in pairs(heads) do
  local stream = control.streams[position]
  redis.call('HSET', KEYS[stream[2]], 'number', string.format('%d', head.number), 'chain', head.chain)
  if stream[4] > 0 then redis.call('XTRIM', KEYS[stream[1]], 'MAXLEN', '~', stream[4]) end
end
return answers
