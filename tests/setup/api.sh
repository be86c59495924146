#!/bin/sh
# What the end-to-end tests of the API need: curl and jq for tests/api/client.sh, Schemathesis and the validators
# of documents in a Python environment of its own under .tools/api. tests/api/client.py runs on the Python of
# tests/setup/python.sh.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian curl jq python3 python3-venv
make_python api
