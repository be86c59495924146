#!/bin/sh
# Makes sure that the web interfaces which the end-to-end tests put behind an agent are installed: Debian's
# packages, and a Python environment of its own under .tools/devices. As root it installs what is missing;
# otherwise it fails and names it. Done, it costs one dpkg query. Chromium is tests/setup's other part.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

# What each is for is told in tests/devices/interfaces.py.
packages="
  novnc websockify x11vnc xvfb xterm fonts-dejavu-core
  spice-html5 qemu-system-x86
  ustreamer
  nginx-light openssl
  janus janus-demos
  python3 python3-venv
  iproute2 util-linux
"

missing=""
# shellcheck disable=SC2086 # a list
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $packages 2>/dev/null || true)
for package in $packages; do
  case "
$installed
" in
    *"
installed $package
"*) ;;
    *) missing="$missing $package" ;;
  esac
done

if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  # The tests start these programs themselves: none may come up as a service of this machine.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # shellcheck disable=SC2086 # a list
  apt-get install -q -y --no-install-recommends $missing
fi

# The mark holds the list it was made from: a changed pin makes the environment anew.
requirements=$root/tests/setup/devices-requirements.txt
python=$root/.tools/devices
if ! cmp -s "$requirements" "$python/made-from"; then
  rm -rf "$python"
  mkdir -p "$root/.tools"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
  cp "$requirements" "$python/made-from"
fi
