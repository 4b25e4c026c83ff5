-- Paces wrk, one connection a thread, and tells for how long a connection had no answer.
local ffi = require("ffi")
ffi.cdef([[
  struct ts_swarm_time { long seconds; long nanoseconds; };
  int clock_gettime(int clock, struct ts_swarm_time *time);
]])
local monotonic = 1
local pauseMs = 20
-- An answer takes a few milliseconds, and the machine has others to serve.
local silentMs = 500

local function now()
  local time = ffi.new("struct ts_swarm_time")
  ffi.C.clock_gettime(monotonic, time)
  return tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1e6
end

local threads = {}

-- wrk tries to connect before it starts, and would wait for a server that is gone.
function wrk.connect()
  return true
end

function setup(thread)
  table.insert(threads, thread)
end

function init()
  heardMs = now()
  silences = ""
  failures = 0
end

function delay()
  return pauseMs
end

local function heard(untilMs)
  if untilMs - heardMs > silentMs then
    silences = silences .. string.format("%.0f %.0f,", heardMs, untilMs)
  end
  heardMs = untilMs
end

function response(status)
  heard(now())
  if status ~= 200 then
    failures = failures + 1
  end
end

function done(summary)
  local endMs = now()
  local silent = ""
  local failed = 0
  for _, thread in ipairs(threads) do
    silent = silent .. thread:get("silences")
    local lastMs = thread:get("heardMs")
    if endMs - lastMs > silentMs then
      silent = silent .. string.format("%.0f %.0f,", lastMs, endMs)
    end
    failed = failed + thread:get("failures")
  end
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + failed
  print(string.format("watched %d %d %.0f %s", summary.requests, broken, endMs, silent))
end
