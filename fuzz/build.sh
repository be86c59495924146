#!/bin/sh
# Builds every fuzz target with the compiler at hand, stable or nightly, and prints the folder of the
# programs: build.sh FOLDER [RUSTC_FLAG...]. cargo-fuzz works too; this needs nothing but a C++ compiler.
set -eu
cd "$(dirname "$0")"

if ! command -v c++ >/dev/null; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing package; as root: apt-get install --no-install-recommends g++" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >&2
  apt-get install -q -y --no-install-recommends g++ >&2
fi

target_dir=$1
shift
host=$(rustc -vV | sed -n 's/^host: //p')
# What libFuzzer watches: which edges run, how often, and what is compared with what.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
# With --target, the flags are for the targets alone and not for build scripts.
RUSTFLAGS="$(echo $coverage) $*" cargo build --locked --quiet --release --bins --target "$host" \
  --target-dir "$target_dir" >&2
echo "$PWD/$target_dir/$host/release"
