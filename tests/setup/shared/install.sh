# Read in by the scripts of tests/setup, each of which says what it needs.

root=$(cd "$(dirname "$0")/../.." && pwd)

# Installs those of these Debian packages that are not there. Needs root for that, and says so where it is not.
# The tests start what is a service themselves: none comes up as one of this machine.
install_debian() {
  missing=""
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
  done
  if [ -z "$missing" ]; then
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get update -q
  # shellcheck disable=SC2086 # a list
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

# Makes the Python environment .tools/NAME of what tests/setup/NAME-requirements.txt lists. The mark holds the
# list it was made from: a changed pin makes the environment anew.
make_python() {
  requirements=$root/tests/setup/$1-requirements.txt
  python=$root/.tools/$1
  if ! cmp -s "$requirements" "$python/made-from"; then
    rm -rf "$python"
    mkdir -p "$root/.tools"
    python3 -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
    cp "$requirements" "$python/made-from"
  fi
}
