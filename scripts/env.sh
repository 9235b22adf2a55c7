# SPDX-License-Identifier: GPL-2.0-or-later
#
# What every shell script here shares: places, environment, and how to fail.
# Sourced, never run.

HOST_CLOCK_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HOST_CLOCK_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/qemu-host-clock
# The base, a version of QEMU. The first one has build/ for itself, another one a
# folder in it, so that both can be built side by side. tree.py knows this too.
HOST_CLOCK_BASE=${HOST_CLOCK_BASE:-10.0}
HOST_CLOCK_BUILD=$HOST_CLOCK_ROOT/build
[ "$HOST_CLOCK_BASE" = 10.0 ] || HOST_CLOCK_BUILD=$HOST_CLOCK_BUILD/base-$HOST_CLOCK_BASE
export HOST_CLOCK_ROOT HOST_CLOCK_CACHE HOST_CLOCK_BASE HOST_CLOCK_BUILD

# Debian's own tools first: a pyenv or a pip meson in front of them would build
# QEMU with a Python that lacks the modules we installed.
export PATH="/usr/sbin:/usr/bin:/sbin:/bin:$PATH"

# The project's folder holds its sources only.
export PYTHONDONTWRITEBYTECODE=1

# Both trees are <build>/<kind>/{src,obj}; with paths made relative to <build>
# the stock emulator, the changed one, and another clone share the cache.
export CCACHE_DIR=$HOST_CLOCK_CACHE/ccache
export CCACHE_BASEDIR=$HOST_CLOCK_BUILD
export CCACHE_NOHASHDIR=1

say() { printf '== %s\n' "$*"; }

# One message. Inside ninja it goes to a file that ./run prints last, where
# ninja's own report of the failed step cannot bury it.
die() {
    if [ -n "${HOST_CLOCK_ERROR:-}" ]; then
        printf 'error: %s\n' "$*" > "$HOST_CLOCK_ERROR"
    else
        printf 'error: %s\n' "$*" >&2
    fi
    exit 1
}

# need_space DIR MEGABYTES WHAT
need_space() {
    local free
    mkdir -p "$1" || die "cannot create $1"
    free=$(($(df --output=avail -k "$1" | tail -1) / 1024))
    [ "$free" -ge "$2" ] ||
        die "not enough disk space in $1: $free MB free, $3 needs $2 MB." \
            "Free some, or put the project on another disk"
}

# A git that no configuration of the user changes: the hashes of the base and of
# the staged commits must be the same everywhere.
plain_git() {
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git "$@"
}
