#!/bin/sh
# What the network of rides can do, durable, on this machine: `towpath bench` in four cells; see docs/bench.md.
#
#   cargo build --release -p towpath-node && docs/bench/rides.sh target/release/towpath [a directory on the disk]
set -eu
towpath=$(realpath "$1")
place=$(mktemp -d -p "${2:-${TMPDIR:-/tmp}}")
trap 'rm -rf "$place"' EXIT
cp -r "$(dirname "$0")/../../networks/." "$place"
cd "$place"

# Each cell has a journal of its own. Nobody but the load asks for rides, and the bank does not decline.
cell() {
  name=$1; shift
  echo; echo "== $name"
  "$towpath" bench rides.yaml --data "data-$name" --set every=1h --set per_second=1000000 --set bank_fails=0% --set bank_declines=0% \
    --message '{"id": "b" + string(it.n), "at": [40.70 + double((it.n * 7919) % 1000) / 10000.0, -74.02 + double((it.n * 104729) % 1000) / 10000.0]}' \
    "$@" || true
  rm -rf "data-$name"
}
whole_life='--to matches:ride --to events:key:it.to=="Completed" --to events:key:it.to=="Paid"'

# A ride that takes no time: what is measured is the network.
cp machines/ride.yaml ride.yaml
sed 's/after: [23]s/after: 1ms/' ride.yaml > machines/ride.yaml
now='--set bank_takes=1ms --set drivers=2000 --set drivers_every=5ms --warm 12'
cell each-alone $now --requests 20000 --connections 64 $whole_life
cell by-sixteen $now --requests 40000 --connections 64 --batch 16 $whole_life
cell pace $now --requests 10000 --rate 200 --connections 64 $whole_life

# A ride that takes hours: 100,000 of them under way at once, with some drivers more, so that the last ones have one near them too.
sed 's/after: [23]s/after: 9h/' ride.yaml > machines/ride.yaml
# Who has said once that he is free is so for the rest of the day.
sed -i 's/^    window: 300ms/    window: 300ms\n    silence: 9h\n    drivers_max: 150000/' rides.yaml
cell live --first 'drivers=120000={"driver": it.n, "at": [40.70 + double((it.n * 7919) % 1000) / 10000.0, -74.02 + double((it.n * 104729) % 1000) / 10000.0], "free": true}' \
  --set drivers=120000 --requests 100000 --connections 64 --batch 64 --to matches:ride --to 'events:key:it.to=="Matched"'
