-- For wrk: the headers given on its command line, and, when a file of DPoP proofs is named, the next one with each
-- request. One line of figures at the end, which load.py reads.

local proofs, used, head = {}, 0, nil

function init(args)
   if not args[1] then
      return
   end
   for line in io.lines(args[1]) do
      proofs[#proofs + 1] = line
   end
   head = wrk.format():gsub("\r\n\r\n$", "\r\nDPoP: ")
   request = function()
      used = used + 1
      return head .. (proofs[used] or "none-left") .. "\r\n\r\n"
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format("FIGURES %d %d %d %d %d %d %d %d %.0f %.0f\n", summary.requests, summary.duration,
      summary.bytes, e.connect, e.read, e.write, e.timeout, e.status, latency:percentile(50), latency:percentile(99)))
end
