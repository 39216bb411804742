#!/bin/sh
# One pipeline, HTTP in, map, route, file out, on Towpath and on Node-RED, asked by wrk; see docs/bench.md.
#
#   apt-get install wrk; npm install node-red; cargo build --release -p towpath-node
#   docs/bench/pipe/run.sh target/release/towpath node_modules/.bin/node-red
set -eu
towpath=$(realpath "$1") node_red=$(realpath "$2") seconds=${3:-10}
here=$(realpath "$(dirname "$0")")
place=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$place"' EXIT
cd "$place"
cp "$here"/* .

# Processor time of a process in ticks of 10 ms, with its threads.
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

measure() { # name port
  until curl -sf -o /dev/null -d '{"id": "first", "km": 1}' -H 'content-type: application/json' "http://127.0.0.1:$2/rides"; do sleep 0.2; done
  for connections in 16 64; do
    before=$(ticks "$server")
    wrk -t1 -c$connections -d"${seconds}s" --latency -s ride.lua "http://127.0.0.1:$2" > wrk.txt
    after=$(ticks "$server")
    awk -v name="$1" -v c=$connections -v t=$((after - before)) '
      /50%/ {p50 = $2} /99%/ {p99 = $2} /requests in/ {n = $1} /Requests\/sec/ {r = $2} /Non-2xx/ {bad = $0}
      END {printf "%-24s %3d connections: %8.0f requests/s, p50 %s, p99 %s, %.0f us of processor each %s\n", name, c, r, p50, p99, t * 10000 / n, bad}' wrk.txt
  done
  kill "$server"; wait "$server" 2>/dev/null || true
}

for durable in false true; do
  "$towpath" run pipe.yaml --no-api --data "data-$durable" --set durable=$durable 2> towpath.log & server=$!
  measure "towpath, durable $durable" 8081
  cat far.ndjson near.ndjson | wc -l
  rm -f ./*.ndjson
done
mkdir -p user
"$node_red" -u user -p 8082 node-red.json > node-red.log 2>&1 & server=$!
measure node-red 8082
cat out/*.ndjson | wc -l
