#!/bin/sh
# Every fuzz target must find a fault that was put in on purpose (cfg fuzz_canary), each within 60 s from
# its kept corpus and the dictionary: canary.sh [SECONDS].
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}

programs=$(sh build.sh target/canary --cfg fuzz_canary)
found=target/canary/found
rm -rf "$found"
mkdir -p "$found"
for source in targets/*.rs; do
  name=$(basename "$source" .rs)
  mkdir -p "$found/$name"
  begin=$(date +%s)
  if "$programs/$name" -max_total_time="$seconds" -dict=dictionary -max_len=4096 -verbosity=0 \
    -artifact_prefix="$found/$name-" "$found/$name" "corpus/$name" >"$found/$name.log" 2>&1; then
    echo "canary: $name did not find the fault in $seconds s" >&2
    exit 1
  fi
  if ! grep -q 'the canary sings' "$found/$name.log"; then
    tail -n 40 "$found/$name.log"
    echo "canary: $name found something else" >&2
    exit 1
  fi
  echo "canary: $name found it in $(($(date +%s) - begin)) s"
done
