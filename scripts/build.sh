#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh [--qemu-src DIR|debian] [--targets LIST] [TARGET...]: packages, then meson
# and ninja; then the emulators of other machines than the PC, if LIST has any.

. "$(dirname "$0")/env.sh"

qemu_src= machines=()
read_targets() {
    local name
    for name in ${1//,/ }; do
        case $name in
        x86_64) ;;
        aarch64 | riscv64)
            [[ " ${machines[*]} " == *" $name "* ]] || machines+=("$name") ;;
        *) die "--targets: there is no host clock in the machines of '$name'." \
               "There are x86_64,aarch64,riscv64" ;;
        esac
    done
}
while [ $# -gt 0 ]; do
    case $1 in
    --qemu-src=*) qemu_src=${1#*=} ;;
    --qemu-src) [ $# -gt 1 ] || die "--qemu-src needs a folder"; qemu_src=$2; shift ;;
    --targets=*) read_targets "${1#*=}" ;;
    --targets) [ -n "${2:-}" ] || die "--targets needs a list, x86_64,aarch64,riscv64"
               read_targets "$2"; shift ;;
    -*) die "unknown option $1. Usage: ./run build [--qemu-src DIR|debian]" \
            "[--targets x86_64,aarch64,riscv64]" ;;
    *) break ;;
    esac
    shift
done

if [ -n "$qemu_src" ] && [ "$qemu_src" != debian ]; then
    [ -d "$qemu_src" ] || die "no such folder: $qemu_src. Give an unpacked QEMU tree or a git checkout"
    qemu_src=$(cd "$qemu_src" && pwd)
fi
"$HOST_CLOCK_ROOT/scripts/install-packages.sh" || exit 1
if [ -n "$qemu_src" ] && [ "$qemu_src" != debian ]; then
    "$HOST_CLOCK_ROOT/scripts/tree.py" supported "$qemu_src" || exit 1
fi
export HOST_CLOCK_QEMU_SRC=$qemu_src

# Both trees, two object folders and the cache; little once they are there.
need=3000
[ ! -e "$HOST_CLOCK_BUILD/bin/qemu-system-x86_64" ] || need=200
[ ${#machines[@]} = 0 ] || [ -e "$HOST_CLOCK_BUILD/host-clock/machines/built" ] || need=$((need + 500))
need_space "$HOST_CLOCK_BUILD" "${HOST_CLOCK_NEED_MB:-$need}" "a build"

exec 9> "$HOST_CLOCK_BUILD/.lock"
flock -n 9 || { say "another ./run builds here; waiting for it"; flock 9; }

# meson.build asks tree.py for the tests, so a new one means setting up again.
tests=$("$HOST_CLOCK_ROOT/scripts/tree.py" tests) || exit 1
if [ ! -f "$HOST_CLOCK_BUILD/build.ninja" ] ||
       [ "$tests" != "$(cat "$HOST_CLOCK_BUILD/tests.list" 2>/dev/null)" ]; then
    again=()
    [ ! -f "$HOST_CLOCK_BUILD/build.ninja" ] || again=(--reconfigure)
    /usr/bin/meson setup "${again[@]}" "$HOST_CLOCK_BUILD" "$HOST_CLOCK_ROOT" \
        > "$HOST_CLOCK_BUILD/setup.log" 2>&1 9>&- ||
        die "meson setup failed: $(tail -3 "$HOST_CLOCK_BUILD/setup.log")"
    echo "$tests" > "$HOST_CLOCK_BUILD/tests.list"
fi

export HOST_CLOCK_ERROR=$HOST_CLOCK_BUILD/error
rm -f "$HOST_CLOCK_ERROR"
if ! ninja -C "$HOST_CLOCK_BUILD" "$@" 9>&-; then
    message=$(cat "$HOST_CLOCK_ERROR" 2>/dev/null)
    unset HOST_CLOCK_ERROR
    message=${message:-error: the build failed: see above}
    die "${message#error: }"
fi
[ ${#machines[@]} = 0 ] || exec "$HOST_CLOCK_ROOT/scripts/build-qemu.sh" machines "${machines[@]}" 9>&-
