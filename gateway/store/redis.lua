-- Applies a batch of proposals, in order, each one wholly or not at all: the four primitives on Redis.
--
-- KEYS       every key the batch touches, once each; on a cluster all carry one hash tag
-- ARGV[1]    control: a flat JSON array of numbers; batch.ts says in what order
-- ARGV[2…]   texts, referred to from 1 up
-- returns    one answer per proposal, in the form of batch.ts `decodeOutcome`
--
-- A record is `version atMs entry token value`. One clock: TIME, read once per batch.

local control = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
local call, format, match = redis.call, string.format, string.match

-- The heads of the streams touched: read here, written back at the end.
local streams = {}
local at = 2
for position = 1, control[1] do
  local stored = call('HMGET', KEYS[control[at + 1]], 'number', 'chain')
  streams[position] = {
    key = KEYS[control[at]], head = KEYS[control[at + 1]], lane = control[at + 2], keep = control[at + 3],
    number = tonumber(stored[1] or 0), chain = stored[2] or '', grew = false,
  }
  at = at + 4
end

local function text(position) return ARGV[position + 1] end

-- Appends a body to a stream and returns the entry's id.
local function append(stream, body)
  stream.grew = true
  stream.number = stream.number + 1
  stream.chain = redis.sha1hex(stream.chain .. ' ' .. now .. ' ' .. body)
  call('XADD', stream.key, format('%d-0', stream.number), 'at', now, 'body', body, 'chain', stream.chain)
  return format('%d', stream.number * 16 + stream.lane)
end

local function versionOf(record)
  return record and tonumber(match(record, '^(%d+)')) or 0
end

-- Performs the writes that stand at a position of control, and takes these locks; returns the first entry's id, or '-'.
local function write(at, token, locks)
  local entry = '-'
  local count = control[at]
  at = at + 1
  for _ = 1, count do
    local id = append(streams[control[at]], text(control[at + 1]))
    if entry == '-' then entry = id end
    at = at + 2
  end
  local head = now .. ' ' .. entry .. ' ' .. token .. ' '
  for i = 1, #locks do
    local lock = locks[i]
    call('SET', KEYS[control[lock]], '1 ' .. head .. text(control[lock + 1]), 'NX')
  end
  count = control[at]
  at = at + 1
  for _ = 1, count do
    local key, value = KEYS[control[at]], control[at + 1]
    if value == 0 then
      call('DEL', key)
    else
      call('SET', key, format('%d ', versionOf(call('GET', key)) + 1) .. head .. text(value))
    end
    at = at + 2
  end
  count = control[at]
  at = at + 1
  for _ = 1, count do
    local name, member, score = KEYS[control[at]], control[at + 1], control[at + 2]
    if member == 0 then member = entry else member = text(member) end
    if score == 0 then call('ZREM', name, member) else call('ZADD', name, text(score), member) end
    at = at + 3
  end
  return entry
end

local RECORD = '^(%d+) (%d+) (%S+) (%S+) (.*)$'

-- Applies the proposal that stands at a position of control.
local function apply(at)
  local token = text(control[at + 1])
  local free = {}     -- locks to take: positions of control
  local held, heldRecord  -- the first lock that somebody else holds
  local mine          -- `atMs entry` of a record that this very proposal wrote before
  local count = control[at + 2]
  at = at + 3
  for _ = 1, count do
    local record = call('GET', KEYS[control[at]])
    if not record then
      if not held then free[#free + 1] = at end
    else
      local _, written, entry, writer, value = match(record, RECORD)
      if writer == token then
        mine = written .. ' ' .. entry
      elseif control[at + 2] == 0 or value ~= text(control[at + 1]) then
        if not held then held, heldRecord = at, record end
      end
    end
    at = at + 4
  end
  local conflict
  count = control[at]
  at = at + 1
  for _ = 1, count do
    local record = call('GET', KEYS[control[at]])
    if versionOf(record) ~= control[at + 1] then
      local _, written, entry, writer = match(record or '', RECORD)
      if writer == token then mine = written .. ' ' .. entry else conflict = conflict or control[at] end
    end
    at = at + 2
  end

  if held then
    local answer = mine
    if not answer then
      local instead = control[held + 3]
      answer = now .. ' ' .. (instead ~= 0 and write(instead, token, free) or '-')
    end
    return format('h %d ', control[held]) .. answer .. ' ' .. heldRecord
  end
  if mine then return 'c ' .. mine end
  if conflict then return format('x %d', conflict) end
  return 'c ' .. now .. ' ' .. write(at, token, free)
end

local answers = {}
local proposals = control[at]
at = at + 1
for i = 1, proposals do
  answers[i] = apply(at)
  at = control[at]
end
for _, stream in ipairs(streams) do
  if stream.grew then
    call('HSET', stream.head, 'number', format('%d', stream.number), 'chain', stream.chain)
    if stream.keep > 0 then call('XTRIM', stream.key, 'MAXLEN', '~', stream.keep) end
  end
end
return answers
