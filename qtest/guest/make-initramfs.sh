#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make-initramfs.sh OUT [INIT]
#
# Pack busybox, or that which BUSYBOX names, and an init script (default: the
# 'init' beside this script) as an initramfs. OUT appears at once and whole, or
# not at all.

set -eu

die() { echo "make-initramfs.sh: $*" >&2; exit 1; }

[ $# -ge 1 ] || die "usage: make-initramfs.sh OUT [INIT]"
out=$1
init=${2:-$(dirname "$0")/init}

busybox=${BUSYBOX:-$(command -v busybox)} ||
    die "busybox is not installed: apt-get install busybox-static"
command -v cpio >/dev/null ||
    die "cpio is not installed: apt-get install cpio"
# A dynamic busybox has no loader in the guest: the kernel would only say
# 'Failed to execute /init'.
if LC_ALL=C ldd "$busybox" >/dev/null 2>&1; then
    die "$busybox is not static: apt-get install busybox-static"
fi
[ -r "$init" ] || die "$init cannot be read"

mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/bin" "$work/root/proc" "$work/root/sys" "$work/root/dev"
cp -L "$busybox" "$work/root/bin/busybox"
cp -L "$init" "$work/root/init"
chmod 755 "$work/root/init" "$work/root/bin/busybox"
# Not compressed: the host reads 2 MB faster than TCG unpacks 1 MB.
(cd "$work/root" && find . | sort |
    cpio -o -H newc --quiet --owner 0:0) >"$work/initramfs"
mv "$work/initramfs" "$out"
