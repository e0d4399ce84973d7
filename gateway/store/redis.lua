-- Applies a batch of proposals, in order, each one wholly or not at all: the four primitives on Redis.
--
-- KEYS       every key the batch touches, once each; on a cluster all carry one hash tag
-- ARGV[1]    control: a flat MessagePack array of numbers; batch.ts says in what order
-- ARGV[2…]   texts, referred to from 1 up
-- returns    one answer per proposal, in the form of batch.ts `decodeOutcome`, one a line
--
-- A record is `version atMs entry token value`. One clock: TIME, read once per batch.
--
-- Each call from Lua costs more than the command itself: documents are read together before the first proposal, kept in a
-- table meanwhile, and written together after the last one.

local control, texts, keys = cmsgpack.unpack(ARGV[1]), ARGV, KEYS
local call, format, match = redis.call, string.format, string.match
local time = call('TIME')
local now = format('%d', time[1] * 1000 + math.floor(time[2] / 1000))

-- What Lua passes on to one command at most.
local ARGUMENTS_MAX = 4000

-- The other keys stand behind the documents.
local documents = control[2 + control[1] * 4]

-- The heads of the streams touched: read here, written back at the end.
local streams = {}
local at = 2
for position = 1, control[1] do
  local head = keys[documents + control[at + 1]]
  local stored = call('HMGET', head, 'number', 'chain')
  streams[position] = {
    key = keys[documents + control[at]], head = head, lane = control[at + 2], keep = control[at + 3],
    number = tonumber(stored[1] or 0), chain = stored[2] or '', grew = false,
  }
  at = at + 4
end
at = at + 1

-- By position, the record or false.
local records = {}
for first = 1, documents, ARGUMENTS_MAX do
  local last = math.min(first + ARGUMENTS_MAX - 1, documents)
  local found = call('MGET', unpack(keys, first, last))
  if first == 1 then
    records = found
  else
    for i = 1, #found do records[first + i - 1] = found[i] end
  end
end
local changed = {}  -- positions of documents to be written or removed

-- Appends a body to a stream and returns the entry's id.
local function append(stream, body)
  local number = stream.number + 1
  local chain = redis.sha1hex(stream.chain .. ' ' .. now .. ' ' .. body)
  stream.grew, stream.number, stream.chain = true, number, chain
  call('XADD', stream.key, format('%d-0', number), 'entry', now .. ' ' .. chain .. ' ' .. body)
  return format('%d', number * 16 + stream.lane)
end

local function versionOf(record)
  return record and tonumber(match(record, '^%d+')) or 0
end

-- Performs the writes that stand at a position of control, and takes these locks; returns the first entry's id, or '-'.
local function write(at, token, lock, locks)
  local entry = '-'
  local count = control[at]
  at = at + 1
  for _ = 1, count do
    local id = append(streams[control[at]], texts[control[at + 1] + 1])
    if entry == '-' then entry = id end
    at = at + 2
  end
  local head = now .. ' ' .. entry .. ' ' .. token .. ' '
  -- Locks stand one behind the other; those that this very proposal took before are as they are.
  for _ = 1, locks do
    local key = control[lock]
    if not records[key] then
      records[key] = '1 ' .. head .. texts[control[lock + 1] + 1]
      changed[#changed + 1] = key
    end
    lock = lock + 4
  end
  count = control[at]
  at = at + 1
  for _ = 1, count do
    local key, value = control[at], control[at + 1]
    if value == 0 then
      records[key] = false
    else
      records[key] = format('%d ', versionOf(records[key]) + 1) .. head .. texts[value + 1]
    end
    changed[#changed + 1] = key
    at = at + 2
  end
  count = control[at]
  at = at + 1
  for _ = 1, count do
    local name, member, score = keys[documents + control[at]], control[at + 1], control[at + 2]
    if member == 0 then member = entry else member = texts[member + 1] end
    if score == 0 then call('ZREM', name, member) else call('ZADD', name, texts[score + 1], member) end
    at = at + 3
  end
  return entry
end

local RECORD = '^(%d+) (%d+) (%S+) (%S+) (.*)$'

-- Applies the proposal that stands at a position of control.
local function apply(at)
  local token = texts[control[at + 1] + 1]
  local held, heldRecord  -- the first lock that somebody else holds
  local mine          -- `atMs entry` of a record that this very proposal wrote before
  local locks = control[at + 2]
  at = at + 3
  local firstLock = at
  local free = locks  -- those before the one that is held
  for i = 1, locks do
    local record = records[control[at]]
    if record then
      local _, written, entry, writer, value = match(record, RECORD)
      if writer == token then
        mine = written .. ' ' .. entry
      elseif not held and (control[at + 2] == 0 or value ~= texts[control[at + 1] + 1]) then
        held, heldRecord, free = at, record, i - 1
      end
    end
    at = at + 4
  end
  local conflict
  local count = control[at]
  at = at + 1
  for _ = 1, count do
    local record, by = records[control[at]], control[at + 2]
    local isVersion = versionOf(record) == control[at + 1]
    if not isVersion or by ~= 0 then
      local _, written, entry, writer = match(record or '', RECORD)
      if writer == token then
        mine = written .. ' ' .. entry
      elseif not isVersion or writer ~= texts[by + 1] then
        conflict = conflict or control[at]
      end
    end
    at = at + 3
  end

  if held then
    local answer = mine
    if not answer then
      local instead = control[held + 3]
      answer = now .. ' ' .. (instead ~= 0 and write(instead, token, firstLock, free) or '-')
    end
    return format('h %d ', control[held]) .. answer .. ' ' .. heldRecord
  end
  if mine then return 'c ' .. mine end
  if conflict then return format('x %d', conflict) end
  return 'c ' .. now .. ' ' .. write(at, token, firstLock, free)
end

local answers = {}
local proposals = control[at]
at = at + 1
for i = 1, proposals do
  answers[i] = apply(at)
  at = control[at]
end

local pairsToSet, removed = {}, {}
local isWritten = {}
for i = 1, #changed do
  local key = changed[i]
  if not isWritten[key] then
    isWritten[key] = true
    local record = records[key]
    if record then
      pairsToSet[#pairsToSet + 1] = keys[key]
      pairsToSet[#pairsToSet + 1] = record
    else
      removed[#removed + 1] = keys[key]
    end
  end
end
for first = 1, #pairsToSet, ARGUMENTS_MAX do
  call('MSET', unpack(pairsToSet, first, math.min(first + ARGUMENTS_MAX - 1, #pairsToSet)))
end
for first = 1, #removed, ARGUMENTS_MAX do
  call('DEL', unpack(removed, first, math.min(first + ARGUMENTS_MAX - 1, #removed)))
end

for _, stream in ipairs(streams) do
  if stream.grew then
    call('HSET', stream.head, 'number', format('%d', stream.number), 'chain', stream.chain)
    if stream.keep > 0 then call('XTRIM', stream.key, 'MAXLEN', '~', stream.keep) end
  end
end
return table.concat(answers, '\n')
