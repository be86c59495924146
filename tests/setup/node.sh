#!/bin/sh
# Installs, for every folder that has a package-lock.json, exactly what it locks: buf and the TypeScript
# generator (tests/schema), the TypeScript bindings' runtime, the browser tests' driver, the OpenID provider,
# what the console is made with.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

if ! command -v npm >/dev/null || [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" != true ]; then
  echo "missing: Node.js 20 or newer, with npm" >&2
  exit 1
fi

find "$root" \( -name node_modules -o -name target -o -name .git -o -name .tools \) -prune \
  -o -name package-lock.json -print | sort | while read -r lock; do
  folder=$(dirname "$lock")
  # The mark holds the lock that the folder was made from: a changed lock makes it anew.
  if ! cmp -s "$lock" "$folder/node_modules/.made-from"; then
    (cd "$folder" && npm ci --loglevel=error --no-audit --no-fund </dev/null)
    cp "$lock" "$folder/node_modules/.made-from"
  fi
done
