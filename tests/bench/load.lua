-- For wrk: the headers given on its command line, and, when a file of DPoP proofs is named, the next one with each
-- request. One line of figures at the end, which load.py reads.

local proofs, used, head = {}, 0, nil

function init(args)
   wrk.init(args)
   if args[1] then
      for line in io.lines(args[1]) do
         proofs[#proofs + 1] = line
      end
      head = wrk.format(nil, nil):gsub("\r\n\r\n$", "\r\nDPoP: ")
      request = proven
   end
end

function proven()
   used = used + 1
   return head .. (proofs[used] or "used-up") .. "\r\n\r\n"
end

-- wrk looks once, before init, whether requests differ; the name has to be there by then when they do.
if os.getenv("BENCH_PROOFS") then
   function request()
      return proven()
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format("FIGURES %d %d %d %d %d %d %d %d %.0f %.0f\n", summary.requests, summary.duration,
      summary.bytes, e.connect, e.read, e.write, e.timeout, e.status, latency:percentile(50), latency:percentile(99)))
end
