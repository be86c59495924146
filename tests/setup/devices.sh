#!/bin/sh
# Makes sure that the web interfaces which the end-to-end tests put behind an agent are installed: Debian's
# packages, and a Python environment of its own under .tools/devices. What each is for is told in
# tests/devices/interfaces.py.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian \
  novnc websockify x11vnc xvfb xterm fonts-dejavu-core \
  spice-html5 qemu-system-x86 \
  ustreamer \
  nginx-light openssl \
  janus janus-demos \
  python3 python3-venv \
  iproute2 util-linux
make_python devices
