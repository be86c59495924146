#!/bin/sh
# Builds protoc-gen-go from the module that the Go bindings require: one version for what is generated and
# for the runtime it needs.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

if ! command -v go >/dev/null; then
  echo "missing: Go 1.23 or newer" >&2
  exit 1
fi

plugin=$root/.tools/bin/protoc-gen-go
if ! cmp -s "$root/bindings/go/go.sum" "$plugin.made-from"; then
  mkdir -p "$root/.tools/bin"
  (cd "$root/bindings/go" && go build -o "$plugin" google.golang.org/protobuf/cmd/protoc-gen-go)
  cp "$root/bindings/go/go.sum" "$plugin.made-from"
fi
