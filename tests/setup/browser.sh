#!/bin/sh
# Installs Debian's Chromium, which the browser tests drive, and a font for its pages. Their driver comes with
# tests/setup/node.sh.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian chromium fonts-dejavu-core
