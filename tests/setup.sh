#!/bin/sh
# Installs everything that the tests need and the machine lacks: one script a tool, in tests/setup/. Each
# costs next to nothing once its work is done. Whatever needs root and has none fails and names what to install.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

for script in "$root"/tests/setup/*.sh; do
  echo "set-up: $(basename "$script" .sh)"
  sh "$script" </dev/null
done
