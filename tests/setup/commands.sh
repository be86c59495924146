#!/bin/sh
# Installs what the tests of an agent's commands run: the package managers of other systems, which Debian has,
# what makes packages for them, and a D-Bus with made-up services of systemd. apk is not in Debian.
set -eu

packages="dnf zypper pacman-package-manager rpm createrepo-c dbus python3-dbusmock dpkg-dev"
missing=""
for package in $packages; do
  if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
    missing="$missing $package"
  fi
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
