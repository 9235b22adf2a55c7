#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Get Debian's qemu source package for the base into the cache and print the path
# of its .dsc: of the stable release for 10.0, of a suite that still has it for
# another one. apt verifies signature and checksums. A package that is in the
# cache is used as it is, without network; remove the folder to get a newer one.

. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/private-apt.sh"

source_dir=$HOST_CLOCK_CACHE/source
suites=stable
if [ "$HOST_CLOCK_BASE" != 10.0 ]; then
    source_dir=$source_dir-$HOST_CLOCK_BASE
    suites="stable-backports testing unstable"
fi

# The newest version that is of the base; nothing for the stable release, of which
# apt knows one only.
wanted_version() {
    [ "$HOST_CLOCK_BASE" != 10.0 ] || return 0
    apt-cache -c "$apt/apt.conf" madison qemu |
        awk -F ' *[|] *' -v base="$HOST_CLOCK_BASE" \
            'index($2, "1:" base ".") == 1 { print $2 }' | sort -V | tail -1
}

newest_dsc() {
    find "$source_dir" -maxdepth 1 -name 'qemu_*.dsc' 2>/dev/null | sort -V | tail -1
}

dsc=$(newest_dsc)
if [ -z "$dsc" ]; then
    need_space "$source_dir" "${HOST_CLOCK_NEED_MB:-300}" "QEMU's source package"
    find_mirror
    say "getting the qemu source package of $suites from $MIRROR" >&2
    apt=$HOST_CLOCK_CACHE/apt/$(basename "$source_dir")
    # shellcheck disable=SC2086
    private_apt "$apt" deb-src $suites
    # No binary package matters to a source download.
    echo "Dir::State::status \"$apt/status\";" >> "$apt/apt.conf"
    part=$(mktemp -d "$source_dir/.part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    no_source="QEMU's source package could not be had from $MIRROR. Check the network and"
    no_source+=" the machine's apt sources, or give a tree: ./run build --qemu-src DIR"
    apt-get -qq -c "$apt/apt.conf" update >&2 || die "$no_source"
    version=$(wanted_version)
    [ -n "$version" ] || [ "$HOST_CLOCK_BASE" = 10.0 ] ||
        die "none of $suites at $MIRROR has QEMU $HOST_CLOCK_BASE (any more)." \
            "Give a tree: ./run build --base $HOST_CLOCK_BASE --qemu-src DIR"
    (cd "$part" &&
         apt-get -qq -c "$apt/apt.conf" source --download-only "qemu${version:+=$version}") >&2 ||
        die "$no_source"
    # The .dsc last: it is what marks the set as complete.
    mv "$part"/*.tar.* "$source_dir/" && mv "$part"/*.dsc "$source_dir/" ||
        die "could not write to $source_dir"
    dsc=$(newest_dsc)
fi
echo "$dsc"
