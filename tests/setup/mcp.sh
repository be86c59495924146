#!/bin/sh
# Makes the Python with the official client of the Model Context Protocol, which the tests of `fleetwire mcp` have
# talk to it, in an environment of its own under .tools/mcp.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian python3 python3-venv
make_python mcp
