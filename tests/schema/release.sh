#!/bin/sh
# Keeps today's schema as the one of the version in Cargo.toml, which has none yet. From then on the
# schema may grow, and may not break what has this version.
set -eu
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
if grep -q "^$version " proto/released; then
  echo "the schema of $version is kept already: raise the version in Cargo.toml first" >&2
  exit 1
fi
tests/schema/node_modules/.bin/buf build --exclude-source-info --output proto/released.binpb
echo "$version $(sha256sum proto/released.binpb | cut -d ' ' -f 1)" >>proto/released
