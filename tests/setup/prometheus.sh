#!/bin/sh
# Installs Debian's Prometheus, with its promtool: the tests check packaging/prometheus with the one, and have the
# other scrape a platform. No service of this machine comes up; the tests start it themselves.
set -eu
. "$(dirname "$0")/shared/install.sh"

install_debian prometheus
