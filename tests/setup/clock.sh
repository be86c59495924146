#!/bin/sh
# Installs what moves one process's clock, and the C compiler that the recorder of writes is made with.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian libfaketime gcc libc6-dev
