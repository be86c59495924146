#!/bin/sh
# Runs each fuzz target for so many seconds on its kept corpus: run.sh [SECONDS]. What it finds worth
# keeping goes to target/corpus and helps the next run here, what breaks to artifacts/.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}

programs=$(sh build.sh target)
mkdir -p artifacts
for source in targets/*.rs; do
  name=$(basename "$source" .rs)
  mkdir -p "target/corpus/$name"
  echo "fuzz: $name for $seconds s"
  # A leak is a memory limit passed: the crate itself has no unsafe code.
  if ! "$programs/$name" -max_total_time="$seconds" -dict=dictionary -max_len=4096 -timeout=10 \
    -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 -artifact_prefix="artifacts/$name-" \
    "target/corpus/$name" "corpus/$name" >"target/$name.log" 2>&1; then
    tail -n 40 "target/$name.log"
    echo "fuzz: $name failed; the input is in fuzz/artifacts" >&2
    exit 1
  fi
  grep -E 'number_of_executed_units|average_exec_per_sec|new_units_added' "target/$name.log"
done
