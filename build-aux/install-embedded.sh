#!/bin/sh
# install-embedded.sh BUILD_ROOT SUBDIR: installs the embedded provider with its links.
set -eu
to=${DESTDIR:-}${MESON_INSTALL_PREFIX:?}/$2
case $2 in
/*) to=${DESTDIR:-}$2 ;;
esac
mkdir -p "$to"
cp -f "$1/embedded/libdaos.so.2" "$to/libdaos.so.2"
for name in libdfs.so libduns.so libdaos_common.so libgurt.so.4; do
	ln -sf libdaos.so.2 "$to/$name"
done
