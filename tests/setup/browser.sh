#!/bin/sh
# Installs Debian's Chromium, which the browser tests drive, and a font for its pages. Their driver comes with
# tests/setup/node.sh.
set -eu

packages="chromium fonts-dejavu-core"
if [ ! -x /usr/bin/chromium ] || [ ! -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install --no-install-recommends $packages" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # shellcheck disable=SC2086 # a list
  apt-get install -q -y --no-install-recommends $packages
fi
