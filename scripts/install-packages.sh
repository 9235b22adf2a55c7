#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Install what is missing, and nothing else: with nothing missing this takes a
# tenth of a second and asks no mirror.

. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/private-apt.sh"

MESON_MIN=1.5

missing_packages() {
    local wanted
    wanted=$(sed 's/#.*//; /^ *$/d' "$HOST_CLOCK_ROOT/scripts/packages")
    # shellcheck disable=SC2086
    comm -23 <(sort <<< "$wanted") \
        <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
              sed -n 's/^installed //p' | sort)
}

meson_is_old() {
    local have
    have=$(dpkg-query -W -f='${db:Status-Status} ${Version}' meson 2>/dev/null)
    case $have in
    installed\ *) dpkg --compare-versions "${have#* }" lt "$MESON_MIN" ;;
    *) true ;;
    esac
}

apt_quietly() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}

install_meson() {
    local dir=$HOST_CLOCK_CACHE/apt/meson suites
    find_mirror
    suites=$CODENAME
    [ "$CODENAME" != bookworm ] || suites="bookworm bookworm-backports"
    # shellcheck disable=SC2086
    private_apt "$dir" deb $suites
    apt_quietly -c "$dir/apt.conf" update &&
        apt_quietly -c "$dir/apt.conf" install -y --no-install-recommends \
            -t "${suites##* }" meson ||
        die "meson >= $MESON_MIN could not be installed from ${suites##* } at $MIRROR." \
            "Check the network and the machine's apt sources, then run the same command again"
}

command -v dpkg-query > /dev/null ||
    die "this is no Debian machine. Use Debian 12 or 13"
missing=$(missing_packages)
old_meson=
if meson_is_old; then old_meson="meson>=$MESON_MIN"; fi
[ -n "$missing$old_meson" ] || exit 0

all=$(echo $missing $old_meson)
[ "$(id -u)" = 0 ] ||
    die "these Debian packages are missing and only root can install them: $all." \
        "Run './run build' once as root"
say "installing: $all"
if [ -n "$missing" ]; then
    # A third-party source that fails must not stop us: what counts is whether
    # the packages can be had.
    apt_quietly update || true
    # shellcheck disable=SC2086
    apt_quietly install -y --no-install-recommends $missing ||
        die "apt-get could not install: $(echo $missing)." \
            "Check the network and the machine's apt sources, then run the same command again"
fi
[ -z "$old_meson" ] || install_meson
