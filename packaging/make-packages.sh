#!/bin/sh
# Makes the .deb files from release binaries that are built already.
#
#   packaging/make-packages.sh BINARIES PACKAGES
set -eu
binaries=$1
packages=$2
mkdir -p "$packages"
for name in platen-agent platen-cloud; do
    test -x "$binaries/$name" || { echo "$binaries/$name is not there: run make build" >&2; exit 1; }
    cargo deb --locked --no-build --no-strip -p "$name" --output "$packages/$name.deb" >&2
done
ls -l "$packages"/*.deb
