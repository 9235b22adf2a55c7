#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Get the qemu source package of Debian's stable release into the cache and
# print the path of its .dsc. apt verifies signature and checksums. A package
# that is in the cache is used as it is, without network; remove the folder to
# get a newer one.

. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/private-apt.sh"

source_dir=$HOST_CLOCK_CACHE/source

newest_dsc() {
    find "$source_dir" -maxdepth 1 -name 'qemu_*.dsc' 2>/dev/null | sort -V | tail -1
}

dsc=$(newest_dsc)
if [ -z "$dsc" ]; then
    need_space "$source_dir" "${HOST_CLOCK_NEED_MB:-300}" "QEMU's source package"
    find_mirror
    say "getting the qemu source package of suite 'stable' from $MIRROR" >&2
    apt=$HOST_CLOCK_CACHE/apt/source
    private_apt "$apt" deb-src stable
    # No binary package matters to a source download.
    echo "Dir::State::status \"$apt/status\";" >> "$apt/apt.conf"
    part=$(mktemp -d "$source_dir/.part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    (cd "$part" &&
         apt-get -qq -c "$apt/apt.conf" update &&
         apt-get -qq -c "$apt/apt.conf" source --download-only qemu) >&2 ||
        die "QEMU's source package could not be had from $MIRROR." \
            "Check the network and the machine's apt sources, or give a tree: ./run build --qemu-src DIR"
    # The .dsc last: it is what marks the set as complete.
    mv "$part"/*.tar.* "$source_dir/" && mv "$part"/*.dsc "$source_dir/" ||
        die "could not write to $source_dir"
    dsc=$(newest_dsc)
fi
echo "$dsc"
