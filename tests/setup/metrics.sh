#!/bin/sh
# Makes the Python that reads the metrics as Prometheus does, in an environment of its own under
# .tools/metrics. Python itself is among what devices.sh installs.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

requirements=$root/tests/setup/metrics-requirements.txt
python=$root/.tools/metrics
if ! cmp -s "$requirements" "$python/made-from"; then
  rm -rf "$python"
  mkdir -p "$root/.tools"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
  cp "$requirements" "$python/made-from"
fi
