#!/bin/sh
# Makes the Python whose mail server the tests start, in an environment of its own under .tools/mail.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian python3 python3-venv
make_python mail
