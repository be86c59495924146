#!/bin/sh
# Builds what benchmarks are put beside and no distribution has new enough: nats-server, whose JetStream can sync
# every message since 2.10. What costs next to nothing once its work is done.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
version=v2.11.4

if ! command -v go >/dev/null; then
  echo "missing: Go 1.24 or newer" >&2
  exit 1
fi

if [ "$("$root/.tools/bin/nats-server" --version 2>/dev/null)" != "nats-server: $version" ]; then
  mkdir -p "$root/.tools/bin"
  GOBIN="$root/.tools/bin" go install "github.com/nats-io/nats-server/v2@$version"
fi
