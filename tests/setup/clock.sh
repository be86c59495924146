#!/bin/sh
# Installs what moves one process's clock, and the C compiler that the recorder of writes is made with.
set -eu

packages="libfaketime gcc libc6-dev"
missing=""
for package in $packages; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # shellcheck disable=SC2086 # a list
  apt-get install -q -y --no-install-recommends $missing
fi
