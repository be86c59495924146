#!/bin/sh
# What the end-to-end tests of the API need: curl and jq for tests/api/client.sh, Schemathesis and the validators of documents in a Python
# environment of its own under .tools/api. tests/api/client.py runs on the Python of tests/setup/python.sh.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

packages="curl jq python3 python3-venv"
if ! command -v curl >/dev/null || ! command -v jq >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install --no-install-recommends $packages" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # shellcheck disable=SC2086 # a list
  apt-get install -q -y --no-install-recommends $packages
fi

# The mark holds the list it was made from: a changed pin makes the environment anew.
requirements=$root/tests/setup/api-requirements.txt
python=$root/.tools/api
if ! cmp -s "$requirements" "$python/made-from"; then
  rm -rf "$python"
  mkdir -p "$root/.tools"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
  cp "$requirements" "$python/made-from"
fi
