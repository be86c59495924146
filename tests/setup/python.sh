#!/bin/sh
# Makes the Python that generates and tests the bindings: protoc with its Python generator, protobuf and
# pytest, in an environment of its own under .tools/python.
set -eu
. "$(dirname "$0")/shared/install.sh"

python3 -c 'import ensurepip, venv' 2>/dev/null || install_debian python3 python3-venv
make_python python
