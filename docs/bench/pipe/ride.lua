-- For wrk: each request asks for a ride of its own.
local threads = 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end
local n, run = 0, os.time()
function request()
  n = n + 1
  return wrk.format("POST", "/rides", {["content-type"] = "application/json"}, string.format('{"id":"%d-%d-%d","km":%d}', run, id, n, n % 40))
end
