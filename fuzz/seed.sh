#!/bin/sh
# Takes new golden vectors into the corpora. What else lies there was found by a run once: kept by hand,
# where it broke something or reached what no vector does.
set -eu
cd "$(dirname "$0")"

for direction in agent_to_platform platform_to_agent; do
  for name in decode_binary binary_vs_json; do
    mkdir -p "corpus/$name"
    for vector in ../tests/vectors/binary/$direction/*; do
      cp "$vector" "corpus/$name/$direction-$(basename "$vector" .binpb)"
    done
  done
  mkdir -p corpus/decode_json
  for vector in ../tests/vectors/compatibility-json/$direction/*; do
    cp "$vector" "corpus/decode_json/$direction-$(basename "$vector" .json)"
  done
done
for vector in ../tests/vectors/json/*.json; do
  cp "$vector" "corpus/decode_json/sample-$(basename "$vector" .json)"
done
