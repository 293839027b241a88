#!/bin/bash
# unpack_debian.sh SUITE FOLDER PACKAGE... : unpack packages of another Debian suite into FOLDER.
#
# Uses the ordinary apt client with a state of its own: nothing is installed, and this machine's apt is not touched.
# The mirror is the first one in this machine's apt sources. Needs apt, dpkg and the Debian keyring.
set -euo pipefail
suite=$1 folder=$2
shift 2
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
[ -n "$mirror" ] || mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror in this machine's apt sources" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/etc/{sources.list.d,preferences.d,apt.conf.d,trusted.gpg.d} \
    "$work"/state/lists/partial "$work"/cache/archives/partial "$work"/debs "$folder"
: > "$work/status"
cat > "$work/etc/sources.list.d/other.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
options=(-qq -o Dir::Etc="$work/etc" -o Dir::State="$work/state" -o Dir::State::status="$work/status"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
(cd "$work/debs" && apt-get "${options[@]}" download "$@")
for package in "$work"/debs/*.deb; do
    dpkg-deb -x "$package" "$folder"
done
