#!/bin/sh
# Makes the Python that reads the metrics as Prometheus does, in an environment of its own under .tools/metrics.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian python3 python3-venv
make_python metrics
