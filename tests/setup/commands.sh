#!/bin/sh
# Installs what the tests of an agent's commands run: the package managers of other systems, which Debian has,
# what makes packages for them, and a D-Bus with made-up services of systemd. apk is not in Debian.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian dnf zypper pacman-package-manager rpm createrepo-c dbus python3-dbusmock dpkg-dev
