-- For wrk. Without arguments: the headers given on its command line.
--    proofs FILE   the same with the next DPoP proof of the file with each request
--    calls FILE    the next line of the file with each request, each "path token"; from any line on, and round again
-- BENCH_PORTS: one port for each thread, where several processes serve one address.
-- One line of figures at the end, which load.py reads.

local threads, used, head = 0, 0, nil
local lines = {}

function setup(thread)
   local port = 0
   for each in string.gmatch(os.getenv("BENCH_PORTS") or "", "%d+") do
      if port == threads then
         thread.addr = wrk.lookup("127.0.0.1", each)[1]
      end
      port = port + 1
   end
   thread:set("number", threads)
   threads = threads + 1
end

local function proven()
   used = used + 1
   return head .. (lines[used] or "none-left") .. "\r\n\r\n"
end

local function called()
   used = used % #lines + 1
   return lines[used]
end

function init(args)
   if not args[1] then
      return
   end
   for line in io.lines(args[2]) do
      lines[#lines + 1] = line
   end
   if args[1] == "proofs" then
      head = wrk.format():gsub("\r\n\r\n$", "\r\nDPoP: ")
      request = proven
      return
   end
   for at, line in ipairs(lines) do
      local path, token = line:match("(%S+) (%S+)")
      lines[at] = wrk.format("GET", path, { Authorization = "Bearer " .. token })
   end
   math.randomseed(os.time() + 1000 * number)
   used = math.random(#lines)
   request = called
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format("FIGURES %d %d %d %d %d %d %d %d %.0f %.0f\n", summary.requests, summary.duration,
      summary.bytes, e.connect, e.read, e.write, e.timeout, e.status, latency:percentile(50), latency:percentile(99)))
end
