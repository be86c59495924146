#!/bin/sh
# Makes the Python that generates and tests the bindings: protoc with its Python generator, protobuf and
# pytest, in an environment of its own under .tools/python.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install --no-install-recommends python3 python3-venv" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y --no-install-recommends python3 python3-venv
fi

# The mark holds the list it was made from: a changed pin makes the environment anew.
requirements=$root/tests/setup/python-requirements.txt
python=$root/.tools/python
if ! cmp -s "$requirements" "$python/made-from"; then
  rm -rf "$python"
  mkdir -p "$root/.tools"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
  cp "$requirements" "$python/made-from"
fi
