#!/bin/bash
# Makes the pictures of the documentation: what the browser tests see at their end.
set -euo pipefail
cd "$(dirname "$0")/../.."

programs=${CARGO_TARGET_DIR:-target}/debug
coproc demo { exec "$programs/fleetwire" demo --sign-in; }
process=$demo_PID
trap 'kill "$process"; wait "$process" || true' EXIT

url=""
while [ -z "$url" ] && read -r line; do
  case $line in http://*.localhost:*) url=$line ;; esac
done <&"${demo[0]}"

FLEETWIRE_TEST_URL=$url FLEETWIRE_TEST_PICTURE=$PWD/docs/images/console.png \
  node --test --test-reporter=spec tests/browser/demo.test.mjs
