-- One slice of load: POST the bodies of a file in turn, count statuses, print one line of JSON.
-- What it needs comes through the environment, so that no API key stands in the process list.

local requests, turn = {}, 0

function init(args)
   local headers = { ["Content-Type"] = "application/json", ["X-API-Key"] = os.getenv("BENCH_API_KEY") }
   for body in io.lines(os.getenv("BENCH_BODIES")) do
      requests[#requests + 1] = wrk.format("POST", wrk.path, headers, body)
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

-- wrk itself counts only statuses above 399. Globals, because `done` runs in another Lua state.
answers_2xx, answers_other, last_other = 0, 0, 0

function response(status)
   if status >= 200 and status < 300 then
      answers_2xx = answers_2xx + 1
   else
      answers_other = answers_other + 1
      last_other = status
   end
end

local the_thread

function setup(thread)
   the_thread = thread -- always one: see wrk.py
end

function done(summary, latency)
   io.write(string.format(
      '\n{"requests":%d,"microseconds":%d,"bytes":%d,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d,'
         .. '"answers_2xx":%d,"answers_other":%d,"last_other":%d,'
         .. '"connect":%d,"read":%d,"write":%d,"timeout":%d}\n',
      summary.requests, summary.duration, summary.bytes,
      latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max,
      the_thread:get("answers_2xx"), the_thread:get("answers_other"), the_thread:get("last_other"),
      summary.errors.connect, summary.errors.read, summary.errors.write, summary.errors.timeout))
end
